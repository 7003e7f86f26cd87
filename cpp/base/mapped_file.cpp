// SPDX-License-Identifier: Apache-2.0
#include "base/mapped_file.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <system_error>

namespace bitsift {

MappedFile::MappedFile(int descriptor, std::size_t n_bytes)
    : start_(mmap(nullptr, n_bytes, PROT_READ, MAP_SHARED, descriptor, 0)), n_bytes_(n_bytes) {
  if (start_ == MAP_FAILED) throw std::system_error(errno, std::generic_category());
}

MappedFile::~MappedFile() { munmap(start_, n_bytes_); }

}  // namespace bitsift
