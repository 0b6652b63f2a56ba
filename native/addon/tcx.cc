// SPDX-License-Identifier: Apache-2.0
#include "tcx.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "bpf_syscall.h"
#include "bpffs.h"

namespace relatd {
namespace {

uint32_t AttachType(const Hook& hook) {
  return hook.egress ? kTcxEgress : kTcxIngress;
}

Failure AttachFailure(int error, const Hook& hook) {
  if (error == EINVAL) {
    return PlainFailure(Code::kKernelTooOld,
                        "cannot attach to " + hook.Text() +
                            " by tcx: this kernel does not have it; use kernel 6.6 or newer, or mode "
                            "clsact",
                        error, "BPF_LINK_CREATE");
  }
  if (error == EEXIST) {
    return PlainFailure(Code::kExists, "this program is attached to " + hook.Text() + " already; detach it first",
                        error, "BPF_LINK_CREATE");
  }
  return SystemFailure(error, "BPF_LINK_CREATE", "attach to " + hook.Text());
}

// The pinned link if it sits on this very hook. Its ifindex alone does not tell: another namespace has the same
// numbers.
Result<std::optional<AttachedTcx>> Adopt(int program, const Hook& hook, const std::string& pin) {
  Fd link(bpf_obj_get(pin.c_str()));
  if (!link.open()) {
    if (errno == ENOENT) return std::optional<AttachedTcx>();
    return SystemFailure(errno, "BPF_OBJ_GET", "open the pinned link " + pin);
  }
  std::optional<TcxLinkInfo> info;
  if (KindOf(link.get()) == BpfKind::kLink) info = ReadTcxLink(link.get());
  if (!info.has_value()) {
    return PlainFailure(Code::kExists, pin + " is pinned and is not a tcx link; remove it first", EEXIST,
                        "BPF_OBJ_GET");
  }
  TcxChain chain;
  bool here = info->ifindex == hook.ifindex && info->attach_type == AttachType(hook) &&
              QueryTcx(hook.ifindex, info->attach_type, &chain) == 0 &&
              std::find(chain.links.begin(), chain.links.end(), info->id) != chain.links.end();
  if (!here) return std::optional<AttachedTcx>();
  if (bpf_link_update(link.get(), program, nullptr) != 0) {
    return SystemFailure(errno, "BPF_LINK_UPDATE", "put the new program into the link of " + hook.Text());
  }
  return std::optional<AttachedTcx>(AttachedTcx{std::move(link), info->id, true});
}

}  // namespace

bool HasTcx() {
  TcxChain chain;
  // Loopback is number 1 in every namespace. Kernels without tcx do not know the attach type.
  return QueryTcx(1, kTcxIngress, &chain) != -EINVAL;
}

Result<AttachedTcx> AttachTcx(int program, const Hook& hook, bool first, const std::string& pin) {
  if (!pin.empty()) {
    Result<std::optional<AttachedTcx>> adopted = Adopt(program, hook, pin);
    if (!adopted.ok()) return adopted.failure();
    if (adopted->has_value()) return std::move(**adopted);
  }
  Fd link(CreateTcxLink(program, hook.ifindex, AttachType(hook), first ? kBefore : kAfter));
  if (!link.open()) return AttachFailure(-link.get(), hook);
  std::optional<TcxLinkInfo> info = ReadTcxLink(link.get());
  // The old pin's interface is gone, so nothing runs by it.
  if (!pin.empty()) {
    if (Status failure = PinObject(link.get(), pin, true)) return *failure;
  }
  return AttachedTcx{std::move(link), info.has_value() ? info->id : 0, false};
}

Result<bool> DetachTcx(const std::string& pin) {
  Fd link(bpf_obj_get(pin.c_str()));
  if (!link.open()) {
    if (errno == ENOENT) return false;
    return SystemFailure(errno, "BPF_OBJ_GET", "open the pinned link " + pin);
  }
  if (KindOf(link.get()) != BpfKind::kLink) return ArgumentFailure(pin + " is not a pinned link; give the path of one");
  // Others may hold the link too: detaching ends it for all. ENOLINK: its interface is gone.
  if (bpf_link_detach(link.get()) != 0 && errno != ENOLINK) {
    return SystemFailure(errno, "BPF_LINK_DETACH", "detach the link " + pin);
  }
  if (unlink(pin.c_str()) != 0 && errno != ENOENT) return SystemFailure(errno, "unlink", "remove the pin " + pin);
  return true;
}

std::unique_ptr<TcxLink> TcxLink::New(const Napi::CallbackInfo& info) {
  Throw(info.Env(), ArgumentFailure("a TcxLink comes from attach"));
  return nullptr;
}

}  // namespace relatd
