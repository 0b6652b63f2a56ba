// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "addon.h"
#include "errors.h"

namespace relatd {

// Ties a C++ class to a JavaScript class. Napi::ObjectWrap is not used because it takes any wrapped `this` for its own:
// here every object carries the class's tag, and every method checks it, and that the object is open, before it runs.
//
// T needs: kName, kTag, kSlot (its constructor's place in Addon), bool open() const, void Close(),
// static std::unique_ptr<T> New(const Napi::CallbackInfo&) (null with an exception pending), and
// static std::vector<napi_property_descriptor> Methods(Addon*).
template <class T>
class Wrap {
 public:
  static Napi::Function Define(Napi::Env env, Addon* addon) {
    std::vector<napi_property_descriptor> properties = T::Methods(addon);
    properties.push_back({"close", nullptr, &Close, nullptr, nullptr, nullptr, napi_default_method, addon});
    properties.push_back(Getter("open", &Open, addon));
    napi_value result = nullptr;
    napi_define_class(env, T::kName, NAPI_AUTO_LENGTH, &Construct, addon, properties.size(), properties.data(),
                      &result);
    Napi::Function constructor(env, result);
    addon->constructors[T::kSlot] = Napi::Persistent(constructor);
    return constructor;
  }

  // The native object behind a value; null when the value is something else.
  static T* From(Napi::Value value) {
    if (!value.IsObject()) return nullptr;
    bool tagged = false;
    if (napi_check_object_type_tag(value.Env(), value, &T::kTag, &tagged) != napi_ok || !tagged) return nullptr;
    void* native = nullptr;
    return napi_unwrap(value.Env(), value, &native) == napi_ok ? static_cast<T*>(native) : nullptr;
  }

  // The same for an argument that must be one and open; null with an exception pending otherwise.
  static T* Argument(const Napi::CallbackInfo& info, size_t at) {
    T* native = From(info[at]);
    if (native == nullptr) {
      Throw(info.Env(), ArgumentFailure("argument " + std::to_string(at + 1) + " must be a " + T::kName));
    } else if (!native->open()) {
      Throw(info.Env(), Closed());
      return nullptr;
    }
    return native;
  }

  // A JavaScript object around a native one that exists already.
  static Napi::Value Adopt(Napi::Env env, Addon* addon, std::unique_ptr<T> native) {
    addon->adopting = native.release();
    napi_value object = nullptr;
    napi_new_instance(env, addon->constructors[T::kSlot].Value(), 0, nullptr, &object);
    // Still there when the constructor did not run: the environment is ending.
    delete static_cast<T*>(std::exchange(addon->adopting, nullptr));
    return object == nullptr ? env.Undefined() : Napi::Value(env, object);
  }

  // A method that needs an open object: Napi::Value (T::*)(const Napi::CallbackInfo&).
  template <auto M>
  static napi_property_descriptor Method(const char* name, Addon* addon) {
    return {name, nullptr, &Call<M, true>, nullptr, nullptr, nullptr, napi_default_method, addon};
  }
  template <auto M>
  static napi_property_descriptor Property(const char* name, Addon* addon) {
    return Getter(name, &Call<M, true>, addon);
  }
  // Also allowed after close: counters and names that are kept.
  template <auto M>
  static napi_property_descriptor MethodWhenClosed(const char* name, Addon* addon) {
    return {name, nullptr, &Call<M, false>, nullptr, nullptr, nullptr, napi_default_method, addon};
  }
  template <auto M>
  static napi_property_descriptor PropertyWhenClosed(const char* name, Addon* addon) {
    return Getter(name, &Call<M, false>, addon);
  }

 private:
  static Failure Closed() {
    return PlainFailure(Code::kClosed, std::string("this ") + T::kName + " is closed; do not use it after close()");
  }

  static napi_property_descriptor Getter(const char* name, napi_callback get, Addon* addon) {
    return {name, nullptr, nullptr, get, nullptr, nullptr, napi_default_jsproperty, addon};
  }

  static T* This(const Napi::CallbackInfo& info) {
    T* self = From(info.This());
    if (self == nullptr)
      Throw(info.Env(), ArgumentFailure(std::string("this method needs a ") + T::kName + " as this"));
    return self;
  }

  template <auto M, bool kNeedsOpen>
  static napi_value Call(napi_env env, napi_callback_info raw) {
    Napi::CallbackInfo info(env, raw);
    T* self = This(info);
    if (self == nullptr) return nullptr;
    if (kNeedsOpen && !self->open()) return Throw(env, Closed());
    return (self->*M)(info);
  }

  static napi_value Close(napi_env env, napi_callback_info raw) {
    Napi::CallbackInfo info(env, raw);
    T* self = This(info);
    if (self != nullptr) self->Close();
    return nullptr;
  }

  static napi_value Open(napi_env env, napi_callback_info raw) {
    Napi::CallbackInfo info(env, raw);
    T* self = This(info);
    return self == nullptr ? nullptr : napi_value(Napi::Boolean::New(env, self->open()));
  }

  static napi_value Construct(napi_env env, napi_callback_info raw) {
    Napi::CallbackInfo info(env, raw);
    if (!info.IsConstructCall()) return Throw(env, ArgumentFailure(std::string("use new with ") + T::kName));
    Addon* addon = static_cast<Addon*>(info.Data());
    std::unique_ptr<T> native(addon->adopting != nullptr ? static_cast<T*>(std::exchange(addon->adopting, nullptr))
                                                         : T::New(info).release());
    if (native == nullptr) return nullptr;
    napi_value self = info.This();
    if (napi_wrap(env, self, native.get(), &Finalize, nullptr, nullptr) != napi_ok) {
      return Throw(env, PlainFailure(Code::kArgument, std::string("cannot make a ") + T::kName + " of this object"));
    }
    native.release();
    napi_type_tag_object(env, self, &T::kTag);
    return self;
  }

  static void Finalize(napi_env, void* native, void*) { delete static_cast<T*>(native); }
};

}  // namespace relatd
