// SPDX-License-Identifier: Apache-2.0
#include "match.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>

#include <iterator>

#include "args.h"
#include "bpf_map.h"
#include "bpffs.h"
#include "fd.h"
#include "wrap.h"

namespace relatd {
namespace {

constexpr struct bpf_insn Instruction(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t immediate) {
  return {.code = code, .dst_reg = to, .src_reg = from, .off = offset, .imm = immediate};
}

// Puts a number into skb->cb[0] and tail-calls element 0 of an array; returns 0 where that is empty.
Result<Fd> LoadStub(int programs, uint32_t number) {
  const struct bpf_insn instructions[] = {
      Instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, static_cast<int32_t>(number)),
      Instruction(BPF_STX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_2, offsetof(struct __sk_buff, cb), 0),
      Instruction(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_2, BPF_PSEUDO_MAP_FD, 0, programs),
      Instruction(0, 0, 0, 0, 0),
      Instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, 0),
      Instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_tail_call),
      Instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
      Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  Fd program(bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "relatd_stub", "Dual BSD/GPL", instructions,
                           std::size(instructions), nullptr));
  if (!program.open()) return SystemFailure(errno, "BPF_PROG_LOAD", "load a program for `iptables -m bpf`");
  return program;
}

Napi::Value PinMatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  BpfMap* programs = Wrap<BpfMap>::Argument(info, 0);
  if (programs == nullptr) return env.Undefined();
  Args args(info);
  args.Skip();
  uint32_t number = args.U32("number", 0, INT32_MAX);
  std::string path = args.String("path");
  if (!args.ok()) return env.Undefined();
  Result<Fd> stub = LoadStub(programs->fd(), number);
  if (!stub.ok()) return Throw(env, stub.failure());
  if (Status failure = PinObject(stub->get(), path, true)) return Throw(env, *failure);
  return env.Undefined();
}

}  // namespace

void DefineMatch(Napi::Env env, Napi::Object exports, Addon* addon) {
  exports.Set("pinMatch", Napi::Function::New(env, PinMatch, "pinMatch", addon));
}

}  // namespace relatd
