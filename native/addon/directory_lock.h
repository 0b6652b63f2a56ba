// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon.h"
#include "fd.h"

namespace relatd {

// flock(2) on a directory: needs no file of its own, works in a bpffs, ends with the process however that ends.
class DirectoryLock {
 public:
  static constexpr const char* kName = "DirectoryLock";
  static constexpr napi_type_tag kTag = {0x72656c6174640009, 0x6c6f636b00000000};
  static constexpr Addon::Slot kSlot = Addon::kLock;

  explicit DirectoryLock(Fd fd) : fd_(std::move(fd)) {}
  static std::unique_ptr<DirectoryLock> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon*) { return {}; }

  bool open() const { return fd_.open(); }
  void Close() { fd_.Reset(); }

 private:
  Fd fd_;
};

}  // namespace relatd
