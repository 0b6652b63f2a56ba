// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>
#include <napi.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "addon.h"
#include "errors.h"
#include "object_pins.h"

namespace relatd {

// A loaded object file. Maps and programs given out have descriptors of their own.
class BpfObject {
 public:
  static constexpr const char* kName = "BpfObject";
  static constexpr napi_type_tag kTag = {0x72656c6174640005, 0x6270666f626a6563};
  static constexpr Addon::Slot kSlot = Addon::kObject;

  static std::unique_ptr<BpfObject> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return object_ != nullptr; }
  void Close() {
    maps_.clear();
    object_.reset();
  }

 private:
  struct Options {
    std::string file;
    std::string pins;  // "" for none
    std::vector<std::pair<std::string, uint32_t>> sizes;
    bool verbose = false;
    std::optional<std::vector<std::string>> only_maps;
  };
  struct Free {
    void operator()(struct bpf_object* object) const { bpf_object__close(object); }
  };

  Status Load(const Options& options);
  Status Resize(const Options& options);
  // Makes only the maps that were asked for.
  Status LeaveOut(const Options& options);
  Napi::Value Kept(const Napi::CallbackInfo& info);
  Napi::Value VerifierLog(const Napi::CallbackInfo& info);
  Napi::Value MapNames(const Napi::CallbackInfo& info);
  Napi::Value ProgramNames(const Napi::CallbackInfo& info);
  Napi::Value Map(const Napi::CallbackInfo& info);
  Napi::Value Program(const Napi::CallbackInfo& info);

  std::unique_ptr<struct bpf_object, Free> object_;
  std::vector<ObjectMap> maps_;
  std::vector<KeptSize> kept_;
  std::string log_;
};

}  // namespace relatd
