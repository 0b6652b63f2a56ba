// SPDX-License-Identifier: Apache-2.0
#include "event_ring.h"

#include <errno.h>

#include "args.h"
#include "bpf_map.h"
#include "frames.h"
#include "wrap.h"

namespace relatd {
namespace {

// Full buffers per turn of the loop, so that a flood does not shut out everything else.
constexpr int kBatchesPerTurn = 4;
constexpr size_t kLeastBuffer = 4096;

}  // namespace

size_t RingWatch::Drain() {
  Napi::HandleScope scope(env());
  uint8_t* data = nullptr;
  size_t length = 0;
  buffer_.Memory(&data, &length);
  // Without a buffer nothing is taken out of the ring either.
  return length < kLeastBuffer ? 0 : ring_.Read(data, length);
}

bool RingWatch::Deliver() {
  for (int i = 0; i < kBatchesPerTurn; i++) {
    size_t bytes = Drain();
    if (bytes == 0) return false;
    bool more = ring_.stopped_full();
    Call({static_cast<double>(bytes)});
    if (!open()) return false;
    if (!more) return false;
  }
  // The poll event may be used up: come back at the next turn by ourselves.
  Arm(0);
  return true;
}

void RingWatch::OnTimer() {
  bool armed_again = Deliver();
  if (open() && !armed_again) Arm(interval_);
}

std::unique_ptr<EventRing> EventRing::New(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  BpfMap* map = Wrap<BpfMap>::Argument(info, 0);
  if (map == nullptr) return nullptr;
  Args args(info);
  args.Skip();
  Napi::ArrayBuffer buffer = args.Buffer("buffer", kLeastBuffer);
  uint32_t interval = args.U32("intervalMs", 1, 60000);
  Napi::Function callback = args.Callback("onBatch");
  if (args.ok() && map->shape().type != BPF_MAP_TYPE_RINGBUF) {
    args.Refuse("map " + map->shape().name + " is not a ring buffer");
  }
  if (!args.ok()) return nullptr;
  Fd fd = Fd::DuplicateOf(map->fd());
  if (!fd.open()) {
    Throw(env, SystemFailure(errno, "fcntl", "open the ring"));
    return nullptr;
  }
  Result<RingReader> ring = RingReader::Map(fd.get(), map->shape().max_entries);
  if (!ring.ok()) {
    Throw(env, ring.failure());
    return nullptr;
  }
  auto watch = std::make_shared<RingWatch>(env, std::move(fd), std::move(*ring), buffer, interval, callback);
  if (Status failure = watch->Start()) {
    Throw(env, *failure);
    return nullptr;
  }
  watch->StartTimer();
  return std::make_unique<EventRing>(std::move(watch));
}

std::vector<napi_property_descriptor> EventRing::Methods(Addon* addon) {
  using W = Wrap<EventRing>;
  return {
      W::Method<&EventRing::Drain>("drain", addon),
      W::Property<&EventRing::Pending>("pending", addon),
      W::PropertyWhenClosed<&EventRing::Oversized>("oversized", addon),
      W::MethodWhenClosed<&EventRing::Ref>("ref", addon),
      W::MethodWhenClosed<&EventRing::Unref>("unref", addon),
  };
}

Napi::Value EventRing::Drain(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(watch_->Drain()));
}

Napi::Value EventRing::Pending(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(watch_->ring().pending()));
}

Napi::Value EventRing::Oversized(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(watch_->ring().oversized()));
}

Napi::Value EventRing::Ref(const Napi::CallbackInfo& info) {
  watch_->Ref();
  return info.Env().Undefined();
}

Napi::Value EventRing::Unref(const Napi::CallbackInfo& info) {
  watch_->Unref();
  return info.Env().Undefined();
}

}  // namespace relatd
