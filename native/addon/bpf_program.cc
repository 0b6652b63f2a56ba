// SPDX-License-Identifier: Apache-2.0
#include "bpf_program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "args.h"
#include "bpf_syscall.h"
#include "bpffs.h"
#include "namespace.h"
#include "wrap.h"

namespace relatd {
namespace {

// What a program may add to a packet: a tc program can grow it up to 64 KiB.
constexpr size_t kOutputRoom = 65536 + 512;

std::string Hex(const uint8_t* bytes, size_t length) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < length; i++) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

Failure RunFailure(int error, bool has_context) {
  switch (error) {
    case ENODEV:
      return PlainFailure(
          Code::kNoInterface,
          "cannot run the program: its interface is not there; check ifindex, in this network namespace", error,
          "BPF_PROG_TEST_RUN");
    case EINVAL:
      return PlainFailure(
          Code::kArgument,
          has_context ? "cannot run the program: the kernel refuses the packet (14 bytes at least, a page at most) "
                        "or a field of the context; check data and ctx"
                      : "cannot run the program: the kernel refuses the packet; give 14 bytes at least and a page "
                        "at most",
          error, "BPF_PROG_TEST_RUN");
    case EOPNOTSUPP:
    case 524:
      return PlainFailure(Code::kArgument,
                          "cannot run the program: programs of its type have no test run; run a tc program", error,
                          "BPF_PROG_TEST_RUN");
    default:
      return SystemFailure(error, "BPF_PROG_TEST_RUN", "run the program");
  }
}

}  // namespace

std::unique_ptr<BpfProgram> BpfProgram::New(const Napi::CallbackInfo& info) {
  Args args(info);
  std::string path = args.String("path");
  if (!args.ok()) return nullptr;
  Result<Fd> fd = OpenPin(path, BpfKind::kProgram);
  if (fd.ok()) return std::make_unique<BpfProgram>(std::move(*fd));
  Throw(info.Env(), fd.failure());
  return nullptr;
}

std::vector<napi_property_descriptor> BpfProgram::Methods(Addon* addon) {
  using W = Wrap<BpfProgram>;
  return {
      W::Method<&BpfProgram::Info>("info", addon),
      W::Method<&BpfProgram::TestRun>("testRun", addon),
      W::Method<&BpfProgram::Pin>("pin", addon),
  };
}

Napi::Value BpfProgram::Info(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  struct bpf_prog_info program;
  if (!ReadProgramInfo(fd(), &program)) {
    return Throw(env, SystemFailure(errno, "BPF_OBJ_GET_INFO_BY_FD", "read what the kernel knows of the program"));
  }
  uint32_t maps[64] = {};
  struct bpf_prog_info again = {};
  again.nr_map_ids = program.nr_map_ids < 64 ? program.nr_map_ids : 64;
  again.map_ids = reinterpret_cast<uint64_t>(maps);
  uint32_t length = sizeof(again);
  Napi::Array ids = Napi::Array::New(env);
  if (bpf_obj_get_info_by_fd(fd(), &again, &length) == 0) {
    for (uint32_t i = 0; i < again.nr_map_ids && i < 64; i++) ids.Set(i, maps[i]);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("id", program.id);
  object.Set("type", program.type);
  object.Set("name", std::string(program.name, strnlen(program.name, sizeof(program.name))));
  object.Set("tag", Hex(program.tag, sizeof(program.tag)));
  object.Set("runTimeNs", Napi::BigInt::New(env, static_cast<uint64_t>(program.run_time_ns)));
  object.Set("runCount", Napi::BigInt::New(env, static_cast<uint64_t>(program.run_cnt)));
  object.Set("recursionMisses", Napi::BigInt::New(env, static_cast<uint64_t>(program.recursion_misses)));
  object.Set("jitedBytes", program.jited_prog_len);
  object.Set("verifiedInstructions", program.verified_insns);
  object.Set("mapIds", ids);
  return object;
}

Napi::Value BpfProgram::TestRun(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  bool has_data = !args.IsNull();
  std::span<uint8_t> data;
  if (has_data) {
    data = args.Bytes("data");
  } else {
    args.Skip();
  }
  bool has_context = !args.IsNull();
  std::span<uint8_t> context;
  if (has_context) {
    context = args.Bytes("ctx");
  } else {
    args.Skip();
  }
  uint32_t repeat = args.U32("repeat", 1, INT32_MAX);
  if (args.ok() && context.size() > 4096) args.Refuse("ctx must have 4096 bytes at most");
  if (!args.ok()) return env.Undefined();

  std::optional<EnteredNamespace> entered;
  if (!args.IsNull()) {
    Namespace* ns = Wrap<Namespace>::Argument(info, 3);
    if (ns == nullptr) return env.Undefined();
    Result<EnteredNamespace> result = ns->Enter();
    if (!result.ok()) return Throw(env, result.failure());
    entered.emplace(std::move(*result));
  }

  LIBBPF_OPTS(bpf_test_run_opts, options, .repeat = static_cast<int>(repeat));
  if (has_data) {
    size_t room = data.size() + kOutputRoom;
    if (capacity_ < room) {
      output_.reset(new uint8_t[room]);
      capacity_ = room;
    }
    options.data_in = data.data();
    options.data_size_in = static_cast<uint32_t>(data.size());
    options.data_out = output_.get();
    options.data_size_out = static_cast<uint32_t>(capacity_);
  }
  uint8_t context_out[4096];
  if (has_context) {
    options.ctx_in = context.data();
    options.ctx_size_in = static_cast<uint32_t>(context.size());
    options.ctx_out = context_out;
    options.ctx_size_out = sizeof(context_out);
  }
  int error = bpf_prog_test_run_opts(fd(), &options);
  if (error != 0) return Throw(env, RunFailure(-error, has_context));

  Napi::Object result = Napi::Object::New(env);
  result.Set("verdict", static_cast<int32_t>(options.retval));
  result.Set("data", CopyBytes(env, output_.get(), has_data ? options.data_size_out : 0));
  result.Set("ctx", CopyBytes(env, context_out, has_context ? options.ctx_size_out : 0));
  result.Set("nanoseconds", options.duration);
  return result;
}

Napi::Value BpfProgram::Pin(const Napi::CallbackInfo& info) {
  Args args(info);
  std::string path = args.String("path");
  if (!args.ok()) return info.Env().Undefined();
  if (Status failure = PinObject(fd(), path, true)) return Throw(info.Env(), *failure);
  return info.Env().Undefined();
}

}  // namespace relatd
