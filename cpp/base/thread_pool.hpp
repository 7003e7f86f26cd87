// SPDX-License-Identifier: Apache-2.0
// A small pool of threads for the whole process.
//
// No OpenMP: two of its runtimes in one process (torch's, scikit-learn's) clash, and some hang in a
// forked child. Any number of callers may use the pool at once; none waits for a thread that is
// busy elsewhere, because the caller itself can do all the work.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

namespace bitsift {

// Calls body() on the calling thread and on up to `n_threads - 1` threads of the pool; returns when
// all that started have returned. If one throws, the first exception is thrown here.
void run_on_threads(std::size_t n_threads, const std::function<void()>& body);

// Calls body(begin, end) for pieces of [0, n_items), each item once. A thread takes its pieces in
// ascending order.
template <class Body>
void for_each_piece(std::size_t n_items, std::size_t piece, std::size_t n_threads, Body&& body) {
  std::atomic<std::size_t> next{0};
  const std::size_t n_pieces = (n_items + piece - 1) / piece;
  run_on_threads(n_threads < n_pieces ? n_threads : n_pieces, [&] {
    for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n_pieces;) {
      const std::size_t begin = i * piece;
      body(begin, n_items - begin < piece ? n_items : begin + piece);
    }
  });
}

}  // namespace bitsift
