// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>
#include <uv.h>

#include <initializer_list>
#include <memory>

#include "errors.h"
#include "fd.h"

namespace relatd {

// A descriptor and a timer on the event loop of one environment, with a JavaScript callback. It owns itself from Start
// until libuv has let go of both handles, so neither the collector nor the end of the environment can free what libuv
// still uses. All methods: on the loop's thread.
class LoopWatch : public std::enable_shared_from_this<LoopWatch> {
 public:
  virtual ~LoopWatch() = default;
  LoopWatch(const LoopWatch&) = delete;
  LoopWatch& operator=(const LoopWatch&) = delete;

  bool open() const { return open_; }
  // At any time, from inside the callback too, any number of times.
  void Close();
  void Ref();
  void Unref();
  Status Start();

 protected:
  LoopWatch(Napi::Env env, Fd fd, Napi::Function callback);

  virtual void OnReadable() = 0;
  virtual void OnTimer() {}
  // Lets go of JavaScript values; the environment is still there.
  virtual void OnClose() {}

  int fd() const { return fd_.get(); }
  Napi::Env env() const { return Napi::Env(env_); }
  void Arm(uint64_t milliseconds);
  bool armed() const;
  // Calls back. What the callback throws becomes an uncaught exception. The caller looks at open() afterwards.
  void Call(std::initializer_list<double> arguments);

 private:
  static void OnHandleClosed(uv_handle_t* handle);
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle hook, void* data);

  napi_env env_;
  Fd fd_;
  Napi::FunctionReference callback_;
  uv_poll_t poll_ = {};
  uv_timer_t timer_ = {};
  int handles_ = 0;
  bool open_ = false;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  std::shared_ptr<LoopWatch> self_;
};

// A JavaScript ArrayBuffer that is filled again and again. Asks for its memory each time: the owner may have
// transferred it.
class ReusedBuffer {
 public:
  explicit ReusedBuffer(Napi::ArrayBuffer buffer) : reference_(Napi::Persistent(buffer)) {}
  void Reset() { reference_.Reset(); }
  // Needs a handle scope. Length 0 when it was detached.
  void Memory(uint8_t** data, size_t* length) {
    *data = nullptr;
    *length = 0;
    if (reference_.IsEmpty()) return;
    void* memory = nullptr;
    if (napi_get_arraybuffer_info(reference_.Env(), reference_.Value(), &memory, length) != napi_ok) *length = 0;
    *data = static_cast<uint8_t*>(memory);
  }

 private:
  Napi::Reference<Napi::ArrayBuffer> reference_;
};

}  // namespace relatd
