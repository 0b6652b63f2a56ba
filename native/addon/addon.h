// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

namespace relatd {

// All state that is not in an object; one per environment (main thread, worker), handed to every callback as its data.
struct Addon {
  enum Slot {
    kNamespace,
    kInterfaceWatch,
    kObject,
    kMap,
    kProgram,
    kTcxLink,
    kEventRing,
    kHoldDevice,
    kLock,
    kConntrack,
    kSlots
  };

  Napi::FunctionReference constructors[kSlots];
  // The native object for the next constructor call; set by Wrap::Adopt only, for the time of that call.
  void* adopting = nullptr;
};

}  // namespace relatd
