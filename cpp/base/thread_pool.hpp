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

#include "base/interruption.hpp"

namespace bitsift {

// Calls body() on the calling thread and on up to `n_threads - 1` threads of the pool; returns when
// all that started have returned. If one throws, the first error is thrown here, and the call that
// the threads work for is cancelled: see Interruption.
void run_on_threads(std::size_t n_threads, const std::function<void()>& body);

// Pieces of work, numbered from 0, which threads take one after the other, in ascending order.
class Pieces {
 public:
  explicit Pieces(std::size_t n) : n_(n) {}

  // Calls body(piece) until no piece is left, on each thread that takes part. Where a body throws,
  // no thread begins another piece.
  template <class Body>
  void work(Body&& body) {
    try {
      for (std::size_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < n_;) {
        check_interruption();
        body(i);
      }
    } catch (...) {
      stop();
      throw;
    }
  }

  // No thread begins another piece. Returns how many have been begun, or n if it has stopped
  // before.
  std::size_t stop() {
    const std::size_t n_begun = next_.exchange(n_, std::memory_order_relaxed);
    return n_begun < n_ ? n_begun : n_;
  }

 private:
  std::size_t n_;
  std::atomic<std::size_t> next_{0};
};

// Calls body(begin, end) for pieces of [0, n_items), each item once. A thread takes its pieces in
// ascending order.
template <class Body>
void for_each_piece(std::size_t n_items, std::size_t piece, std::size_t n_threads, Body&& body) {
  const std::size_t n_pieces = (n_items + piece - 1) / piece;
  Pieces pieces(n_pieces);
  run_on_threads(n_threads < n_pieces ? n_threads : n_pieces, [&] {
    pieces.work([&](std::size_t i) {
      const std::size_t begin = i * piece;
      body(begin, n_items - begin < piece ? n_items : begin + piece);
    });
  });
}

}  // namespace bitsift
