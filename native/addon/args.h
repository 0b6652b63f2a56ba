// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

namespace relatd {

// Takes the arguments of a call in order. The first that does not fit throws (RELATD_ARGUMENT); the rest then yield
// nothing, and ok() says whether the method may go on.
class Args {
 public:
  explicit Args(const Napi::CallbackInfo& info) : info_(info) {}

  bool ok() const { return ok_; }
  // Skips one that is read elsewhere.
  void Skip() { at_++; }
  bool IsNull() const { return info_[at_].IsNull() || info_[at_].IsUndefined(); }

  std::string String(const char* name);
  std::optional<std::string> OptionalString(const char* name);
  bool Bool(const char* name);
  uint32_t U32(const char* name, uint32_t least = 0, uint32_t most = UINT32_MAX);
  // The memory is valid until JavaScript runs again.
  std::span<uint8_t> Bytes(const char* name);
  Napi::ArrayBuffer Buffer(const char* name, size_t least);
  Napi::Function Callback(const char* name);

  // Refuses from outside, for what the type alone does not tell.
  void Refuse(std::string message);

 private:
  void Expected(const char* name, const char* what);

  const Napi::CallbackInfo& info_;
  size_t at_ = 0;
  bool ok_ = true;
};

// Copies memory into a new Uint8Array.
Napi::Value CopyBytes(Napi::Env env, const void* data, size_t length);

}  // namespace relatd
