// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "base/platform.hpp"

namespace bitsift {

// The one T of the process, made when first asked for. It is never destroyed: threads may be using
// it when the process ends. A forked child forgets its parent's, which may hold locks of threads
// that the child does not have, and makes its own.
template <class T>
T& process_wide() {
  static std::atomic<T*> shared{nullptr};
  // No initialised static: another thread may be amid its initialisation when this one forks. To
  // register twice does no harm.
  static std::atomic<bool> registered{false};
  if (!registered.load(std::memory_order_acquire)) {
    call_in_forked_child([] { shared.store(nullptr, std::memory_order_relaxed); });
    registered.store(true, std::memory_order_release);
  }
  T* existing = shared.load(std::memory_order_acquire);
  if (existing != nullptr) return *existing;
  auto* made = new T;
  if (shared.compare_exchange_strong(existing, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *existing;
}

}  // namespace bitsift
