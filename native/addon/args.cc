// SPDX-License-Identifier: Apache-2.0
#include "args.h"

#include <string.h>

#include <cmath>

#include "errors.h"

namespace relatd {

void Args::Refuse(std::string message) {
  if (!ok_) return;
  ok_ = false;
  Throw(info_.Env(), ArgumentFailure(std::move(message)));
}

void Args::Expected(const char* name, const char* what) {
  Refuse(std::string(name) + " must be " + what);
}

std::string Args::String(const char* name) {
  Napi::Value value = info_[at_++];
  if (!value.IsString()) {
    Expected(name, "a string");
    return {};
  }
  std::string text = value.As<Napi::String>().Utf8Value();
  // The kernel would see only the part before it.
  if (text.find('\0') != std::string::npos) Expected(name, "a string without NUL");
  if (text.empty()) Expected(name, "a string that is not empty");
  return text;
}

std::optional<std::string> Args::OptionalString(const char* name) {
  if (!IsNull()) return String(name);
  at_++;
  return std::nullopt;
}

bool Args::Bool(const char* name) {
  Napi::Value value = info_[at_++];
  if (!value.IsBoolean()) {
    Expected(name, "true or false");
    return false;
  }
  return value.As<Napi::Boolean>().Value();
}

uint32_t Args::U32(const char* name, uint32_t least, uint32_t most) {
  Napi::Value value = info_[at_++];
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= least && number <= most) || number != std::floor(number)) {
    Refuse(std::string(name) + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    return least;
  }
  return static_cast<uint32_t>(number);
}

std::span<uint8_t> Args::Bytes(const char* name) {
  Napi::Value value = info_[at_++];
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    Expected(name, "a Uint8Array");
    return {};
  }
  void* data = nullptr;
  size_t length = 0;
  if (napi_get_typedarray_info(info_.Env(), value, nullptr, &length, &data, nullptr, nullptr) != napi_ok) {
    Expected(name, "a Uint8Array that is not detached");
    return {};
  }
  return {static_cast<uint8_t*>(data), length};
}

Napi::ArrayBuffer Args::Buffer(const char* name, size_t least) {
  Napi::Value value = info_[at_++];
  if (!value.IsArrayBuffer() || value.As<Napi::ArrayBuffer>().ByteLength() < least) {
    Refuse(std::string(name) + " must be an ArrayBuffer of at least " + std::to_string(least) + " bytes");
    return {};
  }
  return value.As<Napi::ArrayBuffer>();
}

Napi::Function Args::Callback(const char* name) {
  Napi::Value value = info_[at_++];
  if (!value.IsFunction()) {
    Expected(name, "a function");
    return {};
  }
  return value.As<Napi::Function>();
}

Napi::Value CopyBytes(Napi::Env env, const void* data, size_t length) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, length);
  // Empty while the environment is ending.
  if (array.IsEmpty()) return env.Undefined();
  if (length > 0) memcpy(array.Data(), data, length);
  return array;
}

}  // namespace relatd
