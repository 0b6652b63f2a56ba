// SPDX-License-Identifier: Apache-2.0
#include "system.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "bpffs.h"
#include "errors.h"
#include "fd.h"
#include "libbpf_log.h"
#include "tcx.h"

namespace relatd {
namespace {

// 0, or the errno of loading the smallest tc program (return 0).
int TryProgram() {
  struct bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  LibbpfLog log;
  Fd fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "relatd_probe", "GPL", instructions, 2, nullptr));
  return fd.open() ? 0 : errno;
}

bool JitEnabled() {
  FILE* file = fopen("/proc/sys/net/core/bpf_jit_enable", "re");
  if (file == nullptr) return false;
  int value = 0;
  bool read = fscanf(file, "%d", &value) == 1;
  fclose(file);
  return read && value > 0;
}

void Report(Napi::Array problems, const Failure& failure) {
  Napi::Object object = Napi::Object::New(problems.Env());
  object.Set("code", CodeName(failure.code));
  object.Set("message", failure.message);
  problems.Set(problems.Length(), object);
}

Napi::Value CheckSystem(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array problems = Napi::Array::New(env);
  struct utsname name = {};
  uname(&name);
  int major_version = 0, minor_version = 0;
  sscanf(name.release, "%d.%d", &major_version, &minor_version);
  if (major_version < 6 || (major_version == 6 && minor_version < 1)) {
    Report(problems, PlainFailure(Code::kKernelTooOld,
                                  std::string("this kernel is ") + name.release + "; relatd needs 6.1 or newer"));
  }
  int error = TryProgram();
  if (error == EPERM || error == EACCES) {
    Report(problems,
           PlainFailure(Code::kNoPermission,
                        "the kernel refuses to load BPF programs for this user; run as root, or with CAP_BPF and "
                        "CAP_NET_ADMIN"));
  } else if (error == ENOSYS) {
    Report(problems, PlainFailure(Code::kNoBpf, "this kernel has no bpf(2); use one with CONFIG_BPF_SYSCALL"));
  } else if (error != 0) {
    Report(problems, SystemFailure(error, "BPF_PROG_LOAD", "load the smallest BPF program"));
  }
  bool btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  if (!btf) {
    Report(problems, PlainFailure(Code::kNoBtf,
                                  "this kernel shows no BTF (/sys/kernel/btf/vmlinux); use one with "
                                  "CONFIG_DEBUG_INFO_BTF"));
  }
  bool tun = access("/dev/net/tun", R_OK | W_OK) == 0;
  if (!tun) {
    Report(problems, PlainFailure(errno == ENOENT ? Code::kNotFound : Code::kNoPermission,
                                  errno == ENOENT ? "there is no /dev/net/tun; load the module: modprobe tun"
                                                  : "this user may not open /dev/net/tun; run as root"));
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("kernel", name.release);
  object.Set("root", geteuid() == 0);
  object.Set("bpf", error == 0);
  object.Set("btf", btf);
  // Without permission the kernel does not tell; then this is only a guess by version.
  object.Set("tcx", error == 0 ? HasTcx() : major_version > 6 || (major_version == 6 && minor_version >= 6));
  object.Set("jit", JitEnabled());
  object.Set("tun", tun);
  object.Set("problems", problems);
  return object;
}

Napi::Value Mount(const Napi::CallbackInfo& info) {
  Args args(info);
  std::string path = args.String("path");
  if (!args.ok()) return info.Env().Undefined();
  Result<bool> mounted = MountBpffs(path);
  return mounted.ok() ? Napi::Boolean::New(info.Env(), *mounted) : Throw(info.Env(), mounted.failure());
}

Napi::Value Remove(const Napi::CallbackInfo& info) {
  Args args(info);
  std::string path = args.String("path");
  if (!args.ok()) return info.Env().Undefined();
  Result<uint32_t> removed = RemovePins(path);
  return removed.ok() ? Napi::Number::New(info.Env(), *removed) : Throw(info.Env(), removed.failure());
}

template <clockid_t kClock>
Napi::Value Nanoseconds(const Napi::CallbackInfo& info) {
  struct timespec now = {};
  clock_gettime(kClock, &now);
  return Napi::BigInt::New(info.Env(),
                           static_cast<uint64_t>(now.tv_sec) * 1000000000U + static_cast<uint64_t>(now.tv_nsec));
}

}  // namespace

void DefineSystem(Napi::Env env, Napi::Object exports, Addon* addon) {
  exports.Set("checkSystem", Napi::Function::New(env, CheckSystem, "checkSystem", addon));
  exports.Set("mountBpffs", Napi::Function::New(env, Mount, "mountBpffs", addon));
  exports.Set("removePins", Napi::Function::New(env, Remove, "removePins", addon));
  exports.Set("monotonicNs", Napi::Function::New(env, Nanoseconds<CLOCK_MONOTONIC>, "monotonicNs", addon));
  exports.Set("boottimeNs", Napi::Function::New(env, Nanoseconds<CLOCK_BOOTTIME>, "boottimeNs", addon));
}

}  // namespace relatd
