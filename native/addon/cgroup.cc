// SPDX-License-Identifier: Apache-2.0
#include "cgroup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <unistd.h>

#include <memory>

#include "args.h"
#include "bpf_program.h"
#include "bpf_syscall.h"
#include "bpffs.h"
#include "fd.h"
#include "wrap.h"

namespace relatd {
namespace {

// The root of the hierarchy of version 2, wherever it is mounted; empty when it is not.
std::string UnifiedRoot() {
  std::unique_ptr<FILE, int (*)(FILE*)> mounts(setmntent("/proc/self/mounts", "r"), &endmntent);
  if (mounts == nullptr) return {};
  struct mntent entry = {};
  char buffer[4096];
  while (getmntent_r(mounts.get(), &entry, buffer, sizeof(buffer)) != nullptr) {
    if (std::string_view(entry.mnt_type) == "cgroup2") return entry.mnt_dir;
  }
  return {};
}

std::optional<bpf_attach_type> ReadType(const std::string& text) {
  if (text == "sockops") return BPF_CGROUP_SOCK_OPS;
  if (text == "connect4") return BPF_CGROUP_INET4_CONNECT;
  if (text == "connect6") return BPF_CGROUP_INET6_CONNECT;
  return std::nullopt;
}

// Whether the link that is pinned there now runs this program.
Result<bool> Adopt(int program, const std::string& pin) {
  Fd link(bpf_obj_get(pin.c_str()));
  if (!link.open()) {
    if (errno == ENOENT) return false;
    return SystemFailure(errno, "BPF_OBJ_GET", "open the pinned link " + pin);
  }
  if (KindOf(link.get()) != BpfKind::kLink) return ArgumentFailure(pin + " is pinned and is not a link; remove it");
  if (bpf_link_update(link.get(), program, nullptr) == 0) return true;
  // Its cgroup is gone.
  if (errno == ENOLINK) return false;
  return SystemFailure(errno, "BPF_LINK_UPDATE", "put the new program into the link " + pin);
}

Napi::Value AttachCgroup(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  BpfProgram* program = Wrap<BpfProgram>::Argument(info, 0);
  if (program == nullptr) return env.Undefined();
  Args args(info);
  args.Skip();
  std::optional<bpf_attach_type> type = ReadType(args.String("type"));
  std::string pin = args.String("pin");
  if (!args.ok()) return env.Undefined();
  if (!type) return Throw(env, ArgumentFailure("type must be sockops, connect4 or connect6"));
  std::string root = UnifiedRoot();
  if (root.empty()) {
    return Throw(env, PlainFailure(Code::kNotFound,
                                   "no cgroup file system of version 2 is mounted; mount one: mount -t cgroup2 cgroup2 "
                                   "/sys/fs/cgroup/unified",
                                   ENOENT));
  }
  Result<bool> adopted = Adopt(program->fd(), pin);
  if (!adopted.ok()) return Throw(env, adopted.failure());
  if (!*adopted) {
    Fd cgroup(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!cgroup.open()) return Throw(env, SystemFailure(errno, "open", "open the cgroup " + root));
    Fd link(bpf_link_create(program->fd(), cgroup.get(), *type, nullptr));
    if (!link.open()) return Throw(env, SystemFailure(errno, "BPF_LINK_CREATE", "attach to the cgroup " + root));
    if (Status failure = PinObject(link.get(), pin, true)) return Throw(env, *failure);
  }
  return env.Undefined();
}

}  // namespace

void DefineCgroup(Napi::Env env, Napi::Object exports, Addon* addon) {
  exports.Set("attachCgroup", Napi::Function::New(env, AttachCgroup, "attachCgroup", addon));
}

}  // namespace relatd
