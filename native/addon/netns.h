// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "errors.h"
#include "fd.h"

namespace relatd {

// The calling thread is in another network namespace while this lives. Only that thread: libuv's workers are not
// touched, and a socket or device made meanwhile stays in that namespace for good.
class EnteredNamespace {
 public:
  // Does nothing for the namespace that the thread is in already, so that it needs no privilege there.
  static Result<EnteredNamespace> Enter(int namespace_fd);
  EnteredNamespace(EnteredNamespace&&) = default;
  EnteredNamespace& operator=(EnteredNamespace&&) = delete;
  ~EnteredNamespace();

 private:
  explicit EnteredNamespace(Fd home) : home_(std::move(home)) {}
  Fd home_;
};

// The calling thread's own.
Result<Fd> OpenOwnNamespace();

}  // namespace relatd
