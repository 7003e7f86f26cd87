// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/row_mask.hpp"

namespace bitsift {

// A page of a row mask that several sets may own together. Who wants to change it gets one of its
// own: a copy, if there are other owners.
class SharedPage {
 public:
  // A page for all who need one of zeros, or of ones.
  static const SharedPage& zeros() {
    static const SharedPage page(new Page(0));
    return page;
  }
  static const SharedPage& ones() {
    static const SharedPage page(new Page(~std::uint64_t{0}));
    return page;
  }

  SharedPage(const SharedPage& other) noexcept : page_(other.page_) {
    page_->n_owners.fetch_add(1, std::memory_order_relaxed);
  }
  SharedPage(SharedPage&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  SharedPage& operator=(SharedPage other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~SharedPage() {
    if (page_ != nullptr && page_->n_owners.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete page_;
    }
  }

  const std::uint64_t* words() const { return page_->words.data(); }
  // The words, to be changed. Only for the thread that may change the set which has this page.
  std::uint64_t* own_words() {
    // Acquire: what the last other owner has read, it has read before.
    if (page_->n_owners.load(std::memory_order_acquire) > 1) {
      *this = SharedPage(new Page(page_->words));
    }
    return page_->words.data();
  }

 private:
  using Words = std::array<std::uint64_t, kPageWords>;
  struct Page {
    explicit Page(std::uint64_t word) { words.fill(word); }
    explicit Page(const Words& copied) : words(copied) {}

    Words words;
    std::atomic<std::size_t> n_owners{1};
  };

  explicit SharedPage(Page* page) : page_(page) {}

  Page* page_;
};

}  // namespace bitsift
