// SPDX-License-Identifier: Apache-2.0
// A file in memory, without a descriptor.
#pragma once

#include <cstddef>

namespace bitsift {

// The first bytes of an open file, mapped read-only until the object ends. The descriptor is not
// kept: the caller closes it, and the mapping outlives both it and the name of the file.
//
// The bytes are those of the file at any time. A process that touches bytes which another has cut
// off meanwhile is ended by the system (SIGBUS).
class MappedFile {
 public:
  // Maps n_bytes > 0 bytes of the file behind a descriptor that is open for reading. Throws
  // std::system_error with the system's code if it refuses.
  MappedFile(int descriptor, std::size_t n_bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return static_cast<const std::byte*>(start_); }
  std::size_t size() const { return n_bytes_; }

 private:
  void* start_;
  std::size_t n_bytes_;
};

}  // namespace bitsift
