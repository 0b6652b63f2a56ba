// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon.h"
#include "errors.h"
#include "fd.h"

namespace relatd {

// A loaded program with a descriptor of its own.
class BpfProgram {
 public:
  static constexpr const char* kName = "BpfProgram";
  static constexpr napi_type_tag kTag = {0x72656c6174640004, 0x62706670726f6772};
  static constexpr Addon::Slot kSlot = Addon::kProgram;

  explicit BpfProgram(Fd fd) : fd_(std::move(fd)) {}
  static std::unique_ptr<BpfProgram> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return fd_.open(); }
  void Close() {
    fd_.Reset();
    output_.reset();
    capacity_ = 0;
  }
  int fd() const { return fd_.get(); }

 private:
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value TestRun(const Napi::CallbackInfo& info);
  Napi::Value Pin(const Napi::CallbackInfo& info);

  Fd fd_;
  // Where test runs put the packet; kept, because allocating 64 KiB costs more than a run.
  std::unique_ptr<uint8_t[]> output_;
  size_t capacity_ = 0;
};

}  // namespace relatd
