// SPDX-License-Identifier: Apache-2.0
#include "attach.h"

#include <errno.h>
#include <net/if.h>

#include "args.h"
#include "bpf_program.h"
#include "bpf_syscall.h"
#include "clsact.h"
#include "namespace.h"
#include "tcx.h"
#include "wrap.h"

namespace relatd {
namespace {

enum class Mode { kTcx, kClsact, kAuto };

Mode ReadMode(Args& args) {
  std::string text = args.String("mode");
  if (text == "tcx") return Mode::kTcx;
  if (text == "clsact") return Mode::kClsact;
  if (args.ok() && text != "auto") args.Refuse("mode must be tcx, clsact or auto, not " + text);
  return Mode::kAuto;
}

Hook ReadHook(Args& args) {
  Hook hook = {};
  hook.ifindex = args.U32("ifindex", 1, INT32_MAX);
  hook.egress = args.Bool("egress");
  return hook;
}

// The kernel's answers for a missing interface differ by call (ENODEV, EINVAL, none at all): ask for it first.
Status CheckInterface(const Hook& hook) {
  char name[IF_NAMESIZE];
  if (if_indextoname(hook.ifindex, name) != nullptr) return std::nullopt;
  return PlainFailure(
      Code::kNoInterface,
      "there is no interface " + std::to_string(hook.ifindex) + " in this network namespace; check the number", ENODEV,
      "if_indextoname");
}

Napi::Object ToObject(Napi::Env env, const char* mode, Napi::Value link_id, bool adopted, Napi::Value link) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("mode", mode);
  object.Set("linkId", link_id);
  object.Set("adopted", adopted);
  object.Set("link", link);
  return object;
}

Napi::Value Attach(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  BpfProgram* program = Wrap<BpfProgram>::Argument(info, 0);
  if (program == nullptr) return env.Undefined();
  Namespace* ns = Wrap<Namespace>::Argument(info, 1);
  if (ns == nullptr) return env.Undefined();
  Args args(info);
  args.Skip();
  args.Skip();
  Hook hook = ReadHook(args);
  Mode mode = ReadMode(args);
  bool first = args.Bool("first");
  std::string pin = args.OptionalString("pin").value_or("");
  uint32_t priority = args.U32("priority", 1, UINT16_MAX);
  if (!args.ok()) return env.Undefined();
  Result<EnteredNamespace> entered = ns->Enter();
  if (!entered.ok()) return Throw(env, entered.failure());
  if (Status failure = CheckInterface(hook)) return Throw(env, *failure);

  if (mode == Mode::kTcx || (mode == Mode::kAuto && HasTcx())) {
    Result<AttachedTcx> attached = AttachTcx(program->fd(), hook, first, pin);
    if (!attached.ok()) return Throw(env, attached.failure());
    Napi::Value id = Napi::Number::New(env, attached->link_id);
    Napi::Value link = env.Null();
    if (pin.empty()) {
      link = Wrap<TcxLink>::Adopt(env, static_cast<Addon*>(info.Data()),
                                  std::make_unique<TcxLink>(std::move(attached->link)));
    }
    return ToObject(env, "tcx", id, attached->adopted, link);
  }
  Result<bool> replaced = AttachClsact(program->fd(), hook, priority);
  if (!replaced.ok()) return Throw(env, replaced.failure());
  return ToObject(env, "clsact", env.Null(), *replaced, env.Null());
}

Napi::Value Detach(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Namespace* ns = Wrap<Namespace>::Argument(info, 0);
  if (ns == nullptr) return env.Undefined();
  Args args(info);
  args.Skip();
  Hook hook = ReadHook(args);
  Mode mode = ReadMode(args);
  std::string pin = args.OptionalString("pin").value_or("");
  uint32_t priority = args.U32("priority", 1, UINT16_MAX);
  if (!args.ok()) return env.Undefined();
  bool was_there = false;
  if (mode != Mode::kClsact && !pin.empty()) {
    Result<bool> detached = DetachTcx(pin);
    if (!detached.ok()) return Throw(env, detached.failure());
    was_there = *detached;
  }
  if (mode != Mode::kTcx) {
    Result<EnteredNamespace> entered = ns->Enter();
    if (!entered.ok()) return Throw(env, entered.failure());
    Result<bool> detached = DetachClsact(hook, priority);
    if (!detached.ok()) return Throw(env, detached.failure());
    was_there = was_there || *detached;
  }
  return Napi::Boolean::New(env, was_there);
}

void Append(Napi::Array array, uint32_t id, const std::string& name, uint32_t link, const char* mode,
            uint32_t priority) {
  Napi::Env env = array.Env();
  Napi::Object object = Napi::Object::New(env);
  object.Set("id", id);
  object.Set("name", name);
  object.Set("linkId", link != 0 ? Napi::Value(Napi::Number::New(env, link)) : env.Null());
  object.Set("mode", mode);
  object.Set("priority", priority != 0 ? Napi::Value(Napi::Number::New(env, priority)) : env.Null());
  array.Set(array.Length(), object);
}

Napi::Value Query(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Namespace* ns = Wrap<Namespace>::Argument(info, 0);
  if (ns == nullptr) return env.Undefined();
  Args args(info);
  args.Skip();
  Hook hook = ReadHook(args);
  if (!args.ok()) return env.Undefined();
  Result<EnteredNamespace> entered = ns->Enter();
  if (!entered.ok()) return Throw(env, entered.failure());
  if (Status failure = CheckInterface(hook)) return Throw(env, *failure);

  TcxChain chain;
  int error = QueryTcx(hook.ifindex, hook.egress ? kTcxEgress : kTcxIngress, &chain);
  if (error != 0 && error != -EINVAL) {
    return Throw(env, SystemFailure(-error, "BPF_PROG_QUERY", "list the programs of " + hook.Text()));
  }
  Result<std::vector<ClsactFilter>> filters = ListClsact(hook);
  if (!filters.ok()) return Throw(env, filters.failure());
  Napi::Array programs = Napi::Array::New(env);
  for (size_t i = 0; i < chain.programs.size(); i++) {
    Append(programs, chain.programs[i], ProgramName(chain.programs[i]), chain.links[i], "tcx", 0);
  }
  for (const ClsactFilter& filter : *filters) {
    // The filter's own name is free text; libbpf writes "program:[id]".
    std::string name = filter.program_id != 0 ? ProgramName(filter.program_id) : std::string();
    Append(programs, filter.program_id, name.empty() ? filter.name : name, 0, "clsact", filter.priority);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("mode", error == 0 ? "tcx" : "clsact");
  object.Set("revision", Napi::BigInt::New(env, chain.revision));
  object.Set("programs", programs);
  return object;
}

// 0: the link's interface is gone, and its namespace may be.
Napi::Value LinkInterface(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  std::string pin = args.String("pin");
  if (!args.ok()) return env.Undefined();
  Result<Fd> link = OpenPin(pin, BpfKind::kLink);
  if (!link.ok()) return Throw(env, link.failure());
  std::optional<TcxLinkInfo> found = ReadTcxLink(link->get());
  if (!found) return Throw(env, ArgumentFailure(pin + " is not a tcx link; give the path of one"));
  return Napi::Number::New(env, found->ifindex);
}

}  // namespace

void DefineAttach(Napi::Env env, Napi::Object exports, Addon* addon) {
  exports.Set("attach", Napi::Function::New(env, Attach, "attach", addon));
  exports.Set("detach", Napi::Function::New(env, Detach, "detach", addon));
  exports.Set("linkInterface", Napi::Function::New(env, LinkInterface, "linkInterface", addon));
  exports.Set("query", Napi::Function::New(env, Query, "query", addon));
}

}  // namespace relatd
