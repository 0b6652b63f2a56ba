// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "netlink.h"

namespace relatd {
namespace {

// A link-local address would send router solicitations and MLD reports into the hold queue.
void DisableIpv6(const std::string& name) {
  // /proc/sys/net shows the namespace of the thread that opens it. Where it is read-only the address mode below must
  // do.
  Fd fd(::open(("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6").c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.open() && write(fd.get(), "1", 1) != 1) return;
}

int NoIpv6Address(Netlink& netlink, uint32_t ifindex) {
  NetlinkMessage message(RTM_SETLINK, NLM_F_ACK);
  message.Header<struct ifinfomsg>()->ifi_index = static_cast<int>(ifindex);
  size_t families = message.Begin(IFLA_AF_SPEC);
  size_t ipv6 = message.Begin(AF_INET6);
  message.PutU8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  message.End(ipv6);
  message.End(families);
  return netlink.Request(message);
}

int Configure(Netlink& netlink, uint32_t ifindex, uint32_t queue_length, uint32_t mtu) {
  NetlinkMessage message(RTM_SETLINK, NLM_F_ACK);
  auto* info = message.Header<struct ifinfomsg>();
  info->ifi_index = static_cast<int>(ifindex);
  info->ifi_flags = IFF_UP | IFF_NOARP;
  info->ifi_change = IFF_UP | IFF_NOARP | IFF_MULTICAST;
  message.PutU32(IFLA_TXQLEN, queue_length);
  message.PutU32(IFLA_MTU, mtu);
  return netlink.Request(message);
}

Failure OpenFailure(int error) {
  if (error == ENOENT || error == ENODEV) {
    return PlainFailure(
        Code::kNotFound,
        "there is no /dev/net/tun on this machine; load the module: modprobe tun (in a container: pass the device in)",
        error, "open");
  }
  return SystemFailure(error, "open", "open /dev/net/tun");
}

}  // namespace

Result<Tap> MakeTap(const std::string& name, uint32_t queue_length, uint32_t mtu) {
  struct ifreq request = {};
  if (name.size() >= sizeof(request.ifr_name) || name.find_first_of("/ %:") != std::string::npos) {
    return ArgumentFailure("an interface name has 15 characters at most and none of / % : and space, not " + name);
  }
  // The device belongs to the namespace in which the file is opened.
  Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd.open()) return OpenFailure(errno);
  memcpy(request.ifr_name, name.c_str(), name.size());
  // IFF_TUN_EXCL: a persistent device of that name is not ours to take.
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL);
  if (ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    if (errno == EBUSY || errno == EINVAL) {
      return PlainFailure(Code::kBusy, "the interface name " + name + " is taken; end who uses it or choose another",
                          errno, "TUNSETIFF");
    }
    return SystemFailure(errno, "TUNSETIFF", "make the hold device " + name);
  }
  uint32_t ifindex = if_nametoindex(name.c_str());
  Result<Netlink> netlink = Netlink::Open();
  if (!netlink.ok()) return netlink.failure();
  // A kernel without IPv6 answers EAFNOSUPPORT: nothing to silence there.
  NoIpv6Address(*netlink, ifindex);
  DisableIpv6(name);
  if (int error = Configure(*netlink, ifindex, queue_length, mtu); error != 0) {
    return SystemFailure(-error, "RTM_SETLINK", "set up the hold device " + name);
  }
  return Tap{std::move(fd), ifindex};
}

}  // namespace relatd
