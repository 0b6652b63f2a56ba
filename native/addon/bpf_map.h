// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "addon.h"
#include "errors.h"
#include "fd.h"
#include "map_entries.h"

namespace relatd {

// A BPF map with a descriptor of its own.
class BpfMap {
 public:
  static constexpr const char* kName = "BpfMap";
  static constexpr napi_type_tag kTag = {0x72656c6174640003, 0x6270666d61700000};
  static constexpr Addon::Slot kSlot = Addon::kMap;

  static Result<std::unique_ptr<BpfMap>> From(Fd fd);
  static std::unique_ptr<BpfMap> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return fd_.open(); }
  void Close() { fd_.Reset(); }
  int fd() const { return fd_.get(); }
  const MapShape& shape() const { return shape_; }

 private:
  BpfMap(Fd fd, MapShape shape) : fd_(std::move(fd)), shape_(std::move(shape)) {}
  Napi::Value Info(const Napi::CallbackInfo& info);
  Napi::Value MemoryBytes(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  Napi::Value Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  Napi::Value Entries(const Napi::CallbackInfo& info);
  Napi::Value EntriesSync(const Napi::CallbackInfo& info);
  Napi::Value UpdateBatch(const Napi::CallbackInfo& info);
  Napi::Value DeleteBatch(const Napi::CallbackInfo& info);
  Napi::Value SetProgram(const Napi::CallbackInfo& info);
  Napi::Value SetMap(const Napi::CallbackInfo& info);
  Napi::Value Mmap(const Napi::CallbackInfo& info);
  Napi::Value Pin(const Napi::CallbackInfo& info);

  Napi::Value PutDescriptor(const Napi::CallbackInfo& info, int descriptor);
  std::string Doing(const char* verb) const;

  Fd fd_;
  MapShape shape_;
};

}  // namespace relatd
