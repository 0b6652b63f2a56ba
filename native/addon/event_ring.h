// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon.h"
#include "loop_watch.h"
#include "ring_reader.h"

namespace relatd {

// Reads a ring when it wakes the loop and by a timer, since most producers do not wake.
class RingWatch : public LoopWatch {
 public:
  RingWatch(Napi::Env env, Fd fd, RingReader ring, Napi::ArrayBuffer buffer, uint32_t interval, Napi::Function callback)
      : LoopWatch(env, std::move(fd), callback), ring_(std::move(ring)), buffer_(buffer), interval_(interval) {}

  void StartTimer() { Arm(interval_); }
  size_t Drain();
  const RingReader& ring() const { return ring_; }

 protected:
  void OnReadable() override { Deliver(); }
  void OnTimer() override;
  void OnClose() override { buffer_.Reset(); }

 private:
  bool Deliver();
  RingReader ring_;
  ReusedBuffer buffer_;
  uint32_t interval_;
};

class EventRing {
 public:
  static constexpr const char* kName = "EventRing";
  static constexpr napi_type_tag kTag = {0x72656c6174640007, 0x6576656e7472696e};
  static constexpr Addon::Slot kSlot = Addon::kEventRing;

  explicit EventRing(std::shared_ptr<RingWatch> watch) : watch_(std::move(watch)) {}
  static std::unique_ptr<EventRing> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return watch_->open(); }
  void Close() { watch_->Close(); }

 private:
  Napi::Value Drain(const Napi::CallbackInfo& info);
  Napi::Value Pending(const Napi::CallbackInfo& info);
  Napi::Value Oversized(const Napi::CallbackInfo& info);
  Napi::Value Ref(const Napi::CallbackInfo& info);
  Napi::Value Unref(const Napi::CallbackInfo& info);

  std::shared_ptr<RingWatch> watch_;
};

}  // namespace relatd
