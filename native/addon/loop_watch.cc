// SPDX-License-Identifier: Apache-2.0
#include "loop_watch.h"

namespace relatd {

LoopWatch::LoopWatch(Napi::Env env, Fd fd, Napi::Function callback)
    : env_(env), fd_(std::move(fd)), callback_(Napi::Persistent(callback)) {}

Status LoopWatch::Start() {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) {
    return PlainFailure(Code::kSystem, "this environment has no event loop; use Node on its own");
  }
  self_ = shared_from_this();
  open_ = true;
  napi_add_async_cleanup_hook(env_, &OnEnvironmentEnd, this, &hook_);
  uv_timer_init(loop, &timer_);
  timer_.data = this;
  handles_ = 1;
  // The poll alone decides whether the process stays.
  uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));
  int error = uv_poll_init(loop, &poll_, fd_.get());
  if (error == 0) {
    poll_.data = this;
    handles_ = 2;
    error = uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
      // On an error too: reading says what it is.
      static_cast<LoopWatch*>(poll->data)->OnReadable();
    });
  }
  if (error == 0) return std::nullopt;
  Close();
  return SystemFailure(-error, "epoll_ctl", "watch a descriptor on the event loop");
}

void LoopWatch::Close() {
  if (!open_) return;
  open_ = false;
  callback_.Reset();
  OnClose();
  if (handles_ == 2) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), &OnHandleClosed);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), &OnHandleClosed);
  // uv_close has taken it out of the epoll set: a device or a socket ends now, not a turn of the loop later.
  fd_.Reset();
}

void LoopWatch::OnHandleClosed(uv_handle_t* handle) {
  auto* watch = static_cast<LoopWatch*>(handle->data);
  if (--watch->handles_ > 0) return;
  if (watch->hook_ != nullptr) napi_remove_async_cleanup_hook(watch->hook_);
  // May be the last owner: nothing of the watch is touched after this.
  std::shared_ptr<LoopWatch> last = std::move(watch->self_);
}

void LoopWatch::OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  // The environment waits until the hook is removed, which happens when libuv has closed both handles.
  static_cast<LoopWatch*>(data)->Close();
}

void LoopWatch::Ref() {
  if (open_) uv_ref(reinterpret_cast<uv_handle_t*>(&poll_));
}

void LoopWatch::Unref() {
  if (open_) uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
}

void LoopWatch::Arm(uint64_t milliseconds) {
  if (!open_) return;
  uv_timer_start(
      &timer_, [](uv_timer_t* timer) { static_cast<LoopWatch*>(timer->data)->OnTimer(); }, milliseconds, 0);
}

bool LoopWatch::armed() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&timer_)) != 0;
}

void LoopWatch::Call(std::initializer_list<double> arguments) {
  if (!open_) return;
  Napi::HandleScope scope(env_);
  napi_value values[4];
  size_t count = 0;
  for (double argument : arguments) {
    if (count < 4) napi_create_double(env_, argument, &values[count++]);
  }
  napi_value global = nullptr;
  napi_get_global(env_, &global);
  napi_value ignored = nullptr;
  napi_status status = napi_make_callback(env_, nullptr, global, callback_.Value(), count, values, &ignored);
  if (status != napi_pending_exception) return;
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
}

}  // namespace relatd
