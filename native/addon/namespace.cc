// SPDX-License-Identifier: Apache-2.0
#include "namespace.h"

#include <errno.h>
#include <linux/magic.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "args.h"
#include "interfaces.h"
#include "netlink.h"
#include "wrap.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace relatd {
namespace {

constexpr uint32_t kLowerUp = 1U << 16;  // IFF_LOWER_UP, not in net/if.h

Napi::Value OrNull(Napi::Env env, const std::optional<uint32_t>& value) {
  return value.has_value() ? Napi::Value(Napi::Number::New(env, *value)) : env.Null();
}

Napi::Object ToObject(Napi::Env env, const Interface& interface) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("index", interface.index);
  object.Set("name", interface.name);
  object.Set("kind", interface.kind.empty() ? env.Null() : Napi::Value(Napi::String::New(env, interface.kind)));
  object.Set("type", interface.type);
  object.Set("hasEthernetHeader", interface.type == ARPHRD_ETHER || interface.type == ARPHRD_LOOPBACK);
  object.Set("up", (interface.flags & IFF_UP) != 0);
  object.Set("running", (interface.flags & kLowerUp) != 0);
  object.Set("loopback", (interface.flags & IFF_LOOPBACK) != 0);
  object.Set("flags", interface.flags);
  object.Set("mtu", interface.mtu);
  object.Set("address", interface.address);
  object.Set("master", OrNull(env, interface.master));
  object.Set("link", OrNull(env, interface.link));
  object.Set("linkNetnsid", OrNull(env, interface.link_netnsid));
  object.Set("vlanId", OrNull(env, interface.vlan));
  return object;
}

}  // namespace

std::unique_ptr<Namespace> Namespace::New(const Napi::CallbackInfo& info) {
  Args args(info);
  std::optional<std::string> path = args.OptionalString("path");
  if (!args.ok()) return nullptr;
  if (!path.has_value()) {
    Result<Fd> own = OpenOwnNamespace();
    if (own.ok()) return std::unique_ptr<Namespace>(new Namespace(std::move(*own)));
    Throw(info.Env(), own.failure());
    return nullptr;
  }
  Fd fd(::open(path->c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.open()) {
    Throw(info.Env(), errno == EACCES || errno == EPERM
                          ? SystemFailure(errno, "open", "open the network namespace " + *path)
                          : SystemFailure(Code::kNoNamespace, errno, "open", "open the network namespace " + *path));
    return nullptr;
  }
  // `ip netns` leaves a plain file behind when its mount is gone: setns would say only "invalid argument".
  struct statfs filesystem = {};
  if (fstatfs(fd.get(), &filesystem) != 0 || filesystem.f_type != NSFS_MAGIC) {
    Throw(info.Env(), PlainFailure(Code::kNoNamespace,
                                   *path + " is not a network namespace; check the name: ip netns list", EINVAL));
    return nullptr;
  }
  return std::unique_ptr<Namespace>(new Namespace(std::move(fd)));
}

std::vector<napi_property_descriptor> Namespace::Methods(Addon* addon) {
  using W = Wrap<Namespace>;
  return {
      W::Property<&Namespace::Cookie>("cookie", addon),
      W::Property<&Namespace::Inode>("inode", addon),
      W::Method<&Namespace::Interfaces>("interfaces", addon),
      W::Method<&Namespace::Watch>("watch", addon),
  };
}

Napi::Value Namespace::Cookie(const Napi::CallbackInfo& info) {
  Result<EnteredNamespace> entered = Enter();
  if (!entered.ok()) return Throw(info.Env(), entered.failure());
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t length = sizeof(cookie);
  if (!fd.open() || getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) != 0) {
    return Throw(info.Env(), SystemFailure(errno == ENOPROTOOPT ? Code::kKernelTooOld : Code::kSystem, errno,
                                           "getsockopt", "read the network namespace's cookie"));
  }
  return Napi::BigInt::New(info.Env(), cookie);
}

Napi::Value Namespace::Inode(const Napi::CallbackInfo& info) {
  struct stat status = {};
  if (fstat(fd_.get(), &status) != 0) {
    return Throw(info.Env(), SystemFailure(errno, "fstat", "read the network namespace's inode"));
  }
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(status.st_ino));
}

Napi::Value Namespace::Interfaces(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Result<EnteredNamespace> entered = Enter();
  if (!entered.ok()) return Throw(env, entered.failure());
  Result<std::vector<Interface>> interfaces = ListInterfaces();
  if (!interfaces.ok()) return Throw(env, interfaces.failure());
  Napi::Array array = Napi::Array::New(env, interfaces->size());
  for (uint32_t i = 0; i < interfaces->size(); i++) array.Set(i, ToObject(env, (*interfaces)[i]));
  return array;
}

Napi::Value Namespace::Watch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  Napi::Function callback = args.Callback("callback");
  uint32_t coalesce = args.U32("coalesceMs", 0, 60000);
  if (!args.ok()) return env.Undefined();
  Result<EnteredNamespace> entered = Enter();
  if (!entered.ok()) return Throw(env, entered.failure());
  Result<Netlink> netlink = Netlink::Open(RTMGRP_LINK);
  if (!netlink.ok()) return Throw(env, netlink.failure());
  auto watch = std::make_shared<LinkWatch>(env, netlink->Release(), callback, coalesce);
  if (Status failure = watch->Start()) return Throw(env, *failure);
  return Wrap<InterfaceWatch>::Adopt(env, static_cast<Addon*>(info.Data()), std::make_unique<InterfaceWatch>(watch));
}

void LinkWatch::OnReadable() {
  // What changed is not read: a full dump is cheap, and ENOBUFS (changes lost) then needs no special case.
  char buffer[8192];
  for (int i = 0; i < 64; i++) {
    ssize_t length = recv(fd(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (length < 0 && errno != ENOBUFS && errno != EINTR) break;
  }
  if (!armed()) Arm(coalesce_ms_);
}

std::unique_ptr<InterfaceWatch> InterfaceWatch::New(const Napi::CallbackInfo& info) {
  Throw(info.Env(), ArgumentFailure("an InterfaceWatch comes from Namespace.watch"));
  return nullptr;
}

std::vector<napi_property_descriptor> InterfaceWatch::Methods(Addon* addon) {
  using W = Wrap<InterfaceWatch>;
  return {W::MethodWhenClosed<&InterfaceWatch::Ref>("ref", addon),
          W::MethodWhenClosed<&InterfaceWatch::Unref>("unref", addon)};
}

Napi::Value InterfaceWatch::Ref(const Napi::CallbackInfo& info) {
  watch_->Ref();
  return info.Env().Undefined();
}

Napi::Value InterfaceWatch::Unref(const Napi::CallbackInfo& info) {
  watch_->Unref();
  return info.Env().Undefined();
}

}  // namespace relatd
