// SPDX-License-Identifier: Apache-2.0
#include "notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "args.h"
#include "errors.h"
#include "fd.h"

namespace relatd {
namespace {

// Sends one datagram to a service manager's socket: a path, or a name behind `@` (sd_notify(3)). Never waits.
Napi::Value Notify(const Napi::CallbackInfo& info) {
  Args args(info);
  std::string address = args.String("address");
  std::string message = args.String("message");
  if (!args.ok()) return info.Env().Undefined();
  struct sockaddr_un to = {};
  to.sun_family = AF_UNIX;
  if (address.size() < 2 || address.size() >= sizeof(to.sun_path) || (address[0] != '/' && address[0] != '@')) {
    return Throw(info.Env(), ArgumentFailure("a service manager's socket is a path, or a name behind @, of at most 107 "
                                             "bytes: " +
                                             address));
  }
  std::copy(address.begin(), address.end(), to.sun_path);
  if (address[0] == '@') to.sun_path[0] = '\0';
  auto length = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + address.size());
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.open() || sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                           reinterpret_cast<const struct sockaddr*>(&to), length) < 0) {
    return Throw(info.Env(), SystemFailure(errno, "sendto", "tell the service manager at " + address));
  }
  return info.Env().Undefined();
}

}  // namespace

void DefineNotify(Napi::Env env, Napi::Object exports, Addon* addon) {
  exports.Set("notify", Napi::Function::New(env, Notify, "notify", addon));
}

}  // namespace relatd
