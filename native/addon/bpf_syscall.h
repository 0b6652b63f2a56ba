// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "errors.h"
#include "fd.h"

namespace relatd {

// Numbers and layouts of the kernel's bpf(2) that Debian's 6.1 headers and libbpf 1.1 do not have. All are stable ABI.
constexpr uint32_t kTcxIngress = 46;   // 6.6
constexpr uint32_t kTcxEgress = 47;    // 6.6
constexpr uint32_t kLinkTypeTcx = 11;  // 6.6
constexpr uint32_t kBefore = 1U << 3;  // BPF_F_BEFORE, 6.6
constexpr uint32_t kAfter = 1U << 4;   // BPF_F_AFTER, 6.6

// What a descriptor of the bpf file system turned out to be.
enum class BpfKind { kMap, kProgram, kLink, kOther };

BpfKind KindOf(int fd);

// Opens a pin that must be of this kind.
Result<Fd> OpenPin(const std::string& path, BpfKind kind);

struct TcxLinkInfo {
  uint32_t id;
  uint32_t program_id;
  uint32_t ifindex;  // 0 when the interface is gone
  uint32_t attach_type;
};

// Not a tcx link: nullopt.
std::optional<TcxLinkInfo> ReadTcxLink(int link);

struct TcxChain {
  uint64_t revision = 0;
  std::vector<uint32_t> programs;
  std::vector<uint32_t> links;  // 0 where a program is attached without a link
};

// Negative errno on failure; EINVAL below 6.6. To be called inside the interface's namespace, as the next.
int QueryTcx(uint32_t ifindex, uint32_t attach_type, TcxChain* chain);
// The new link's descriptor, or a negative errno.
int CreateTcxLink(int program, uint32_t ifindex, uint32_t attach_type, uint32_t flags);

bool ReadProgramInfo(int program, struct bpf_prog_info* info);
// "" where the kernel does not tell.
std::string ProgramName(uint32_t id);

}  // namespace relatd
