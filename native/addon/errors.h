// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace relatd {

enum class Code {
  kArgument,
  kClosed,
  kNoPermission,
  kKernelTooOld,
  kNoBpf,
  kNoBtf,
  kNoBpffs,
  kVerifier,
  kObject,
  kLayout,
  kTableFull,
  kExists,
  kNotFound,
  kNoInterface,
  kNoNamespace,
  kNoMemory,
  kBusy,
  kLocked,
  kGone,
  kSystem,
};

// What went wrong, before it is a JavaScript error: also usable on threads without an environment.
struct Failure {
  Code code;
  int error;
  std::string call;
  std::string message;
  std::string log = {};
};

// nullopt is success.
using Status = std::optional<Failure>;

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}
  Result(Failure failure) : state_(std::move(failure)) {}
  bool ok() const { return state_.index() == 0; }
  T& operator*() { return *std::get_if<0>(&state_); }
  T* operator->() { return std::get_if<0>(&state_); }
  Failure& failure() { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Failure> state_;
};

// The stable name, as error.code has it.
const char* CodeName(Code code);
Napi::Array CodeNames(Napi::Env env);

// A failed system call: the code and the advice follow from the errno. `doing` completes "cannot …".
Failure SystemFailure(int error, std::string_view call, std::string_view doing);
// The same with the code known better than errno tells.
Failure SystemFailure(Code code, int error, std::string_view call, std::string_view doing);
// A failure that needs its own sentence.
Failure PlainFailure(Code code, std::string message, int error = 0, std::string_view call = {});
Failure ArgumentFailure(std::string message);

Napi::Object ToError(Napi::Env env, const Failure& failure);
// Makes the failure the pending exception; the result is what the method returns.
Napi::Value Throw(Napi::Env env, const Failure& failure);

}  // namespace relatd
