// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace bitsift::test {

enum class Side { kBegin, kEnd };
inline constexpr Side kSides[] = {Side::kBegin, Side::kEnd};

// Memory between two inaccessible pages: a kernel that reads or writes a byte too many faults.
// Between a buffer and the farther guard lies a canary of at most 64 KiB, which untouched() checks.
class GuardedPages {
 public:
  explicit GuardedPages(std::size_t n_bytes) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    size_ = (n_bytes + page - 1) / page * page;
    mapped_size_ = size_ + 2 * page;
    void* mapped = mmap(nullptr, mapped_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    mapped_ = static_cast<std::uint8_t*>(mapped);
    begin_ = mapped_ + page;
    if (mprotect(begin_, size_, PROT_READ | PROT_WRITE) != 0) {
      throw std::system_error(errno, std::generic_category(), "mprotect");
    }
  }
  ~GuardedPages() { munmap(mapped_, mapped_size_); }
  GuardedPages(const GuardedPages&) = delete;
  GuardedPages& operator=(const GuardedPages&) = delete;

  // Room for `n` values right behind the first guard or, as far as `alignment` lets, right before
  // the last one. Forgets what was there before.
  template <class T>
  T* place(std::size_t n, Side side, std::size_t alignment = alignof(T)) {
    const std::size_t n_bytes = n * sizeof(T);
    if (n_bytes > size_) throw std::length_error("the guarded pages are too small");
    placed_begin_ = side == Side::kBegin ? 0 : (size_ - n_bytes) / alignment * alignment;
    placed_end_ = placed_begin_ + n_bytes;
    canary_begin_ = placed_begin_ - std::min(placed_begin_, kCanaryBytes);
    canary_end_ = placed_end_ + std::min(size_ - placed_end_, kCanaryBytes);
    std::memset(begin_ + canary_begin_, kCanary, canary_end_ - canary_begin_);
    return reinterpret_cast<T*>(begin_ + placed_begin_);
  }

  bool untouched() const {
    return is_canary(canary_begin_, placed_begin_) && is_canary(placed_end_, canary_end_);
  }

 private:
  static constexpr std::uint8_t kCanary = 0xA5;
  static constexpr std::size_t kCanaryBytes = std::size_t{1} << 16;

  // Each byte is the canary if the first is, and each equals the next.
  bool is_canary(std::size_t begin, std::size_t end) const {
    const std::uint8_t* first = begin_ + begin;
    return begin == end ||
           (*first == kCanary && std::memcmp(first, first + 1, end - begin - 1) == 0);
  }

  std::uint8_t* mapped_;
  std::size_t mapped_size_;
  std::uint8_t* begin_;
  std::size_t size_;
  std::size_t placed_begin_ = 0;
  std::size_t placed_end_ = 0;
  std::size_t canary_begin_ = 0;
  std::size_t canary_end_ = 0;
};

}  // namespace bitsift::test
