// SPDX-License-Identifier: Apache-2.0
#include "hold_device.h"

#include <errno.h>
#include <unistd.h>

#include "args.h"
#include "frames.h"
#include "namespace.h"
#include "wrap.h"

namespace relatd {
namespace {

constexpr size_t kLargestFrame = 65535;
constexpr size_t kLeastBuffer = RecordBytes(kLargestFrame);
constexpr uint32_t kMostMtu = 65521;  // 65535 without the Ethernet header
constexpr int kBatchesPerTurn = 8;

}  // namespace

int TapWatch::ReadBatch(size_t* bytes, uint32_t* frames) {
  *bytes = 0;
  *frames = 0;
  Napi::HandleScope scope(env());
  uint8_t* data = nullptr;
  size_t length = 0;
  buffer_.Memory(&data, &length);
  // The owner transferred the buffer: the frames would wait in the device for ever, with the poll spinning.
  if (length < kLeastBuffer) return ENOBUFS;
  while (length - *bytes >= kLeastBuffer) {
    ssize_t size = read(fd(), data + *bytes + kRecordHeader, kLargestFrame);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    WriteRecordHeader(data + *bytes, static_cast<size_t>(size));
    *bytes += RecordBytes(static_cast<size_t>(size));
    ++*frames;
  }
  return 0;
}

void TapWatch::OnReadable() {
  for (int i = 0; i < kBatchesPerTurn; i++) {
    size_t bytes = 0;
    uint32_t frames = 0;
    int error = ReadBatch(&bytes, &frames);
    counters_.read += frames;
    if (frames > 0) Call({static_cast<double>(bytes), static_cast<double>(frames), 0});
    if (!open()) return;
    if (error == 0) continue;
    if (error == EAGAIN) return;
    // EBADFD: somebody deleted the device. The poll would report that for ever.
    auto keep = shared_from_this();
    Call({0, 0, static_cast<double>(error)});
    Close();
    return;
  }
}

int64_t TapWatch::Write(std::span<const uint8_t> frames) {
  int64_t written = 0;
  for (size_t at = 0; at < frames.size();) {
    uint32_t length = 0;
    if (frames.size() - at < kRecordHeader) return -1;
    memcpy(&length, frames.data() + at, sizeof(length));
    if (length < kRecordHeader || length > frames.size() - at) return -1;
    ssize_t result;
    do {
      result = write(fd(), frames.data() + at + kRecordHeader, length - kRecordHeader);
    } while (result < 0 && errno == EINTR);
    if (result >= 0) {
      written++;
    } else {
      counters_.last_error = errno;
      (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? counters_.busy : counters_.refused)++;
    }
    at += RecordBytes(length - kRecordHeader);
  }
  counters_.written += static_cast<uint64_t>(written);
  return written;
}

std::unique_ptr<HoldDevice> HoldDevice::New(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Namespace* ns = Wrap<Namespace>::Argument(info, 0);
  if (ns == nullptr) return nullptr;
  Args args(info);
  args.Skip();
  std::string name = args.String("name");
  uint32_t queue_length = args.U32("queueLength", 1, 1000000);
  uint32_t mtu = args.U32("mtu", 68, kMostMtu);
  Napi::ArrayBuffer buffer = args.Buffer("buffer", kLeastBuffer);
  Napi::Function callback = args.Callback("onFrames");
  if (!args.ok()) return nullptr;
  Result<EnteredNamespace> entered = ns->Enter();
  if (!entered.ok()) {
    Throw(env, entered.failure());
    return nullptr;
  }
  Result<Tap> tap = MakeTap(name, queue_length, mtu);
  if (!tap.ok()) {
    Throw(env, tap.failure());
    return nullptr;
  }
  auto watch = std::make_shared<TapWatch>(env, std::move(*tap), buffer, callback);
  if (Status failure = watch->Start()) {
    Throw(env, *failure);
    return nullptr;
  }
  return std::make_unique<HoldDevice>(std::move(watch), std::move(name));
}

std::vector<napi_property_descriptor> HoldDevice::Methods(Addon* addon) {
  using W = Wrap<HoldDevice>;
  return {
      W::PropertyWhenClosed<&HoldDevice::Ifindex>("ifindex", addon),
      W::PropertyWhenClosed<&HoldDevice::Name>("name", addon),
      W::Method<&HoldDevice::Write>("write", addon),
      W::MethodWhenClosed<&HoldDevice::Counters>("counters", addon),
      W::MethodWhenClosed<&HoldDevice::Ref>("ref", addon),
      W::MethodWhenClosed<&HoldDevice::Unref>("unref", addon),
  };
}

Napi::Value HoldDevice::Ifindex(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), watch_->ifindex());
}

Napi::Value HoldDevice::Name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), name_);
}

Napi::Value HoldDevice::Write(const Napi::CallbackInfo& info) {
  Args args(info);
  std::span<uint8_t> frames = args.Bytes("frames");
  if (!args.ok()) return info.Env().Undefined();
  int64_t written = watch_->Write(frames);
  if (written < 0) {
    return Throw(info.Env(),
                 ArgumentFailure("frames must be whole records: u32 length with its 8 bytes of header, u32 0, frame"));
  }
  return Napi::Number::New(info.Env(), static_cast<double>(written));
}

Napi::Value HoldDevice::Counters(const Napi::CallbackInfo& info) {
  const HoldCounters& counters = watch_->counters();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("readFrames", static_cast<double>(counters.read));
  object.Set("writtenFrames", static_cast<double>(counters.written));
  object.Set("busy", static_cast<double>(counters.busy));
  object.Set("refused", static_cast<double>(counters.refused));
  object.Set("lastErrno", counters.last_error);
  return object;
}

Napi::Value HoldDevice::Ref(const Napi::CallbackInfo& info) {
  watch_->Ref();
  return info.Env().Undefined();
}

Napi::Value HoldDevice::Unref(const Napi::CallbackInfo& info) {
  watch_->Unref();
  return info.Env().Undefined();
}

}  // namespace relatd
