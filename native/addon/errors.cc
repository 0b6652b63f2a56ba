// SPDX-License-Identifier: Apache-2.0
#include "errors.h"

#include <errno.h>
#include <string.h>

#include <iterator>

namespace relatd {
namespace {

struct Row {
  Code code;
  const char* name;
  // What to do, said after the reason; empty where the caller's sentence says it.
  const char* advice;
};

constexpr Row kRows[] = {
    {Code::kArgument, "RELATD_ARGUMENT", "check the arguments"},
    {Code::kClosed, "RELATD_CLOSED", "do not use it after close()"},
    {Code::kNoPermission, "RELATD_NO_PERMISSION", "run as root, or with CAP_BPF and CAP_NET_ADMIN"},
    {Code::kKernelTooOld, "RELATD_KERNEL_TOO_OLD", "use a newer kernel (6.1 at least, 6.6 for tcx)"},
    {Code::kNoBpf, "RELATD_NO_BPF", "use a kernel with CONFIG_BPF_SYSCALL"},
    {Code::kNoBtf, "RELATD_NO_BTF", "use a kernel with CONFIG_DEBUG_INFO_BTF"},
    {Code::kNoBpffs, "RELATD_NO_BPFFS", "mount a bpffs: mount -t bpf bpf /sys/fs/bpf"},
    {Code::kVerifier, "RELATD_VERIFIER", "see error.log for what the verifier objects to"},
    {Code::kObject, "RELATD_OBJECT", "build the BPF object again"},
    {Code::kLayout, "RELATD_LAYOUT",
     "remove the pinned state (this forgets all flows) or use the version that wrote it"},
    {Code::kTableFull, "RELATD_TABLE_FULL", "make the table larger"},
    {Code::kExists, "RELATD_EXISTS", "remove the old one first"},
    {Code::kNotFound, "RELATD_NOT_FOUND", "check the name"},
    {Code::kNoInterface, "RELATD_NO_INTERFACE", "check that the interface is there, in this network namespace"},
    {Code::kNoNamespace, "RELATD_NO_NAMESPACE", "check the name: ip netns list"},
    {Code::kNoMemory, "RELATD_NO_MEMORY", "free memory, raise the memory limit or ask for a smaller table"},
    {Code::kBusy, "RELATD_BUSY", "try again, or end who uses it"},
    {Code::kLocked, "RELATD_LOCKED", "end the other process first"},
    {Code::kGone, "RELATD_GONE", "make it again"},
    {Code::kSystem, "RELATD_SYSTEM", "see the error number"},
};

const Row& RowOf(Code code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row;
  }
  return kRows[std::size(kRows) - 1];
}

Code CodeOf(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return Code::kNoPermission;
    case ENOSYS:
      return Code::kNoBpf;
    case EEXIST:
      return Code::kExists;
    case ENOENT:
    case ESRCH:
    case ENOTDIR:
      return Code::kNotFound;
    case ENODEV:
    case ENXIO:
      return Code::kNoInterface;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return Code::kNoMemory;
    case EBUSY:
    case ETXTBSY:
      return Code::kBusy;
    case EINVAL:
    case ENAMETOOLONG:
    case ERANGE:
      return Code::kArgument;
    default:
      return Code::kSystem;
  }
}

// ENOTSUPP is the kernel's own: the C library has no text for it.
constexpr int kNotSupported = 524;

std::string Reason(int error) {
  return error == kNotSupported ? "Not supported by this kernel" : strerror(error);
}

}  // namespace

const char* CodeName(Code code) {
  return RowOf(code).name;
}

Napi::Array CodeNames(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env, std::size(kRows));
  for (uint32_t i = 0; i < std::size(kRows); i++) names.Set(i, Napi::String::New(env, kRows[i].name));
  return names;
}

Failure SystemFailure(int error, std::string_view call, std::string_view doing) {
  return SystemFailure(CodeOf(error), error, call, doing);
}

Failure SystemFailure(Code code, int error, std::string_view call, std::string_view doing) {
  std::string message = "cannot " + std::string(doing) + ": " + Reason(error) + "; " + RowOf(code).advice;
  return Failure{code, error, std::string(call), std::move(message)};
}

Failure PlainFailure(Code code, std::string message, int error, std::string_view call) {
  return Failure{code, error, std::string(call), std::move(message)};
}

Failure ArgumentFailure(std::string message) {
  return PlainFailure(Code::kArgument, std::move(message), EINVAL);
}

Napi::Object ToError(Napi::Env env, const Failure& failure) {
  napi_value error = nullptr;
  Napi::String message = Napi::String::New(env, failure.message);
  if (failure.code == Code::kArgument) {
    napi_create_type_error(env, nullptr, message, &error);
  } else {
    napi_create_error(env, nullptr, message, &error);
  }
  Napi::Object object(env, error);
  object.Set("code", CodeName(failure.code));
  object.Set("errno", failure.error);
  object.Set("syscall", failure.call);
  if (!failure.log.empty()) object.Set("log", failure.log);
  return object;
}

Napi::Value Throw(Napi::Env env, const Failure& failure) {
  // While a worker is being ended no exception can be thrown, and none is needed.
  if (!env.IsExceptionPending()) napi_throw(env, ToError(env, failure));
  return env.Undefined();
}

}  // namespace relatd
