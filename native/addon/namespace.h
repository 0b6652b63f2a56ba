// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon.h"
#include "fd.h"
#include "loop_watch.h"
#include "netns.h"

namespace relatd {

// An open network namespace.
class Namespace {
 public:
  static constexpr const char* kName = "Namespace";
  static constexpr napi_type_tag kTag = {0x72656c6174640001, 0x6e616d6573706163};
  static constexpr Addon::Slot kSlot = Addon::kNamespace;

  static std::unique_ptr<Namespace> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return fd_.open(); }
  void Close() { fd_.Reset(); }
  Result<EnteredNamespace> Enter() const { return EnteredNamespace::Enter(fd_.get()); }

 private:
  explicit Namespace(Fd fd) : fd_(std::move(fd)) {}
  Napi::Value Cookie(const Napi::CallbackInfo& info);
  Napi::Value Inode(const Napi::CallbackInfo& info);
  Napi::Value Interfaces(const Napi::CallbackInfo& info);
  Napi::Value Watch(const Napi::CallbackInfo& info);

  Fd fd_;
};

// Reads RTNLGRP_LINK and calls back once per burst of changes.
class LinkWatch : public LoopWatch {
 public:
  LinkWatch(Napi::Env env, Fd socket, Napi::Function callback, uint32_t coalesce_ms)
      : LoopWatch(env, std::move(socket), callback), coalesce_ms_(coalesce_ms) {}

 protected:
  void OnReadable() override;
  void OnTimer() override { Call({}); }

 private:
  uint32_t coalesce_ms_;
};

// What JavaScript holds of a watch.
class InterfaceWatch {
 public:
  static constexpr const char* kName = "InterfaceWatch";
  static constexpr napi_type_tag kTag = {0x72656c6174640002, 0x6c696e6b77617463};
  static constexpr Addon::Slot kSlot = Addon::kInterfaceWatch;

  explicit InterfaceWatch(std::shared_ptr<LoopWatch> watch) : watch_(std::move(watch)) {}
  static std::unique_ptr<InterfaceWatch> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return watch_->open(); }
  void Close() { watch_->Close(); }

 private:
  Napi::Value Ref(const Napi::CallbackInfo& info);
  Napi::Value Unref(const Napi::CallbackInfo& info);
  std::shared_ptr<LoopWatch> watch_;
};

}  // namespace relatd
