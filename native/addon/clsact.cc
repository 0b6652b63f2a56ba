// SPDX-License-Identifier: Apache-2.0
#include "clsact.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <sys/socket.h>

#include <algorithm>

#include "libbpf_log.h"
#include "netlink.h"

namespace relatd {
namespace {

uint32_t Parent(const Hook& hook) {
  return TC_H_MAKE(TC_H_CLSACT, hook.egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

enum bpf_tc_attach_point Point(const Hook& hook) {
  return hook.egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

// The legacy `ingress` qdisc sits in the same place: it must go before clsact can come.
Failure AttachFailure(int error, const Hook& hook) {
  if (error == EEXIST) {
    return PlainFailure(Code::kExists,
                        "cannot attach to " + hook.Text() +
                            ": another filter or an ingress qdisc is in its place; look at: tc qdisc "
                            "show, tc filter show",
                        error, "RTM_NEWTFILTER");
  }
  if (error == EINVAL) {
    return PlainFailure(Code::kBusy,
                        "cannot attach to " + hook.Text() +
                            ": a filter of another kind has this priority, or this interface takes no "
                            "clsact; choose another priority",
                        error, "RTM_NEWTFILTER");
  }
  return SystemFailure(error, "RTM_NEWTFILTER", "attach to " + hook.Text());
}

bool IsOurs(const ClsactFilter& filter, uint32_t priority) {
  return filter.handle == kClsactHandle && filter.priority == priority && filter.program_id != 0;
}

Result<bool> HasOurs(const Hook& hook, uint32_t priority) {
  Result<std::vector<ClsactFilter>> filters = ListClsact(hook);
  if (!filters.ok()) return filters.failure();
  return std::any_of(filters->begin(), filters->end(), [&](const ClsactFilter& f) { return IsOurs(f, priority); });
}

}  // namespace

Result<bool> AttachClsact(int program, const Hook& hook, uint32_t priority) {
  LibbpfLog log;
  Result<bool> ours = HasOurs(hook, priority);
  if (!ours.ok()) return ours.failure();
  LIBBPF_OPTS(bpf_tc_hook, point, .ifindex = static_cast<int>(hook.ifindex), .attach_point = Point(hook));
  int error = bpf_tc_hook_create(&point);
  if (error != 0 && error != -EEXIST) return AttachFailure(-error, hook);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .flags = *ours ? uint32_t{BPF_TC_F_REPLACE} : 0U,
              .handle = kClsactHandle, .priority = priority);
  error = bpf_tc_attach(&point, &options);
  if (error != 0) return AttachFailure(-error, hook);
  return *ours;
}

Result<bool> DetachClsact(const Hook& hook, uint32_t priority) {
  LibbpfLog log;
  Result<bool> ours = HasOurs(hook, priority);
  if (!ours.ok() || !*ours) return ours;
  LIBBPF_OPTS(bpf_tc_hook, point, .ifindex = static_cast<int>(hook.ifindex), .attach_point = Point(hook));
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = kClsactHandle, .priority = priority);
  int error = bpf_tc_detach(&point, &options);
  if (error != 0 && error != -ENOENT) {
    return SystemFailure(-error, "RTM_DELTFILTER", "detach from " + hook.Text());
  }
  for (bool egress : {false, true}) {
    Result<std::vector<ClsactFilter>> left = ListClsact({hook.ifindex, egress});
    if (!left.ok() || !left->empty()) return true;
  }
  point.attach_point = static_cast<enum bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&point);
  return true;
}

Result<std::vector<ClsactFilter>> ListClsact(const Hook& hook) {
  Result<Netlink> netlink = Netlink::Open();
  if (!netlink.ok()) return netlink.failure();
  NetlinkMessage message(RTM_GETTFILTER, NLM_F_DUMP);
  auto* request = message.Header<struct tcmsg>();
  request->tcm_family = AF_UNSPEC;
  request->tcm_ifindex = static_cast<int>(hook.ifindex);
  request->tcm_parent = Parent(hook);
  std::vector<ClsactFilter> filters;
  int error = netlink->Dump(message, [&](const struct nlmsghdr* header) {
    if (header->nlmsg_type != RTM_NEWTFILTER) return;
    auto* info = static_cast<const struct tcmsg*>(NLMSG_DATA(header));
    // Each priority is announced once by itself, with handle 0.
    if (info->tcm_handle == 0) return;
    NetlinkAttributes attributes(TCA_RTA(info), TCA_PAYLOAD(header));
    ClsactFilter filter = {info->tcm_info >> 16, info->tcm_handle, 0, std::string(attributes.Text(TCA_KIND))};
    if (filter.name == "bpf") {
      NetlinkAttributes options = attributes.Nest(TCA_OPTIONS);
      filter.program_id = options.U32(TCA_BPF_ID);
      filter.name = options.Text(TCA_BPF_NAME);
    }
    filters.push_back(std::move(filter));
  });
  // No clsact here. An interface that is not there looks the same to a dump.
  if (error == -EINVAL || error == -ENOENT) return filters;
  if (error != 0) return SystemFailure(-error, "RTM_GETTFILTER", "list the filters of " + hook.Text());
  return filters;
}

}  // namespace relatd
