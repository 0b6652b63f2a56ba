// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "addon.h"
#include "loop_watch.h"
#include "tap.h"

namespace relatd {

struct HoldCounters {
  uint64_t read = 0;
  uint64_t written = 0;
  uint64_t busy = 0;
  uint64_t refused = 0;
  int last_error = 0;
};

// Reads frames in batches, each batch one callback.
class TapWatch : public LoopWatch {
 public:
  TapWatch(Napi::Env env, Tap tap, Napi::ArrayBuffer buffer, Napi::Function callback)
      : LoopWatch(env, std::move(tap.fd), callback), ifindex_(tap.ifindex), buffer_(buffer) {}

  uint32_t ifindex() const { return ifindex_; }
  const HoldCounters& counters() const { return counters_; }
  // Frames taken; -1 for records that do not fit the bytes.
  int64_t Write(std::span<const uint8_t> frames);

 protected:
  void OnReadable() override;
  void OnClose() override { buffer_.Reset(); }

 private:
  // Returns the error that ended the batch, 0 for a full buffer.
  int ReadBatch(size_t* bytes, uint32_t* frames);
  uint32_t ifindex_;
  ReusedBuffer buffer_;
  HoldCounters counters_;
};

class HoldDevice {
 public:
  static constexpr const char* kName = "HoldDevice";
  static constexpr napi_type_tag kTag = {0x72656c6174640008, 0x686f6c6464657669};
  static constexpr Addon::Slot kSlot = Addon::kHoldDevice;

  HoldDevice(std::shared_ptr<TapWatch> watch, std::string name) : watch_(std::move(watch)), name_(std::move(name)) {}
  static std::unique_ptr<HoldDevice> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return watch_->open(); }
  void Close() { watch_->Close(); }

 private:
  Napi::Value Ifindex(const Napi::CallbackInfo& info);
  Napi::Value Name(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Counters(const Napi::CallbackInfo& info);
  Napi::Value Ref(const Napi::CallbackInfo& info);
  Napi::Value Unref(const Napi::CallbackInfo& info);

  std::shared_ptr<TapWatch> watch_;
  std::string name_;
};

}  // namespace relatd
