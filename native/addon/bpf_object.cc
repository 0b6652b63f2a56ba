// SPDX-License-Identifier: Apache-2.0
#include "bpf_object.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "args.h"
#include "bpf_map.h"
#include "bpf_program.h"
#include "bpffs.h"
#include "libbpf_log.h"
#include "namespace.h"
#include "wrap.h"

namespace relatd {
namespace {

bool Says(const std::string& log, const char* text) {
  return log.find(text) != std::string::npos;
}

// libbpf names the program in its messages only.
std::string RefusedProgram(const std::string& log) {
  static constexpr char kBegin[] = "prog '";
  size_t end = log.find("': BPF program load failed");
  size_t begin = end == std::string::npos ? end : log.rfind(kBegin, end);
  if (begin == std::string::npos) return "a program";
  begin += sizeof(kBegin) - 1;
  return "program " + log.substr(begin, end - begin);
}

Failure LoadFailure(int error, const std::string& file, const LibbpfLog& log, bool verbose) {
  const std::string& text = log.text();
  Failure failure = SystemFailure(error, "bpf_object__load", "load " + file);
  if (log.has_verifier_log()) {
    failure = PlainFailure(Code::kVerifier,
                           "cannot load " + file + ": the kernel's verifier refuses " + RefusedProgram(text) +
                               "; see error.log for its reason",
                           error, "BPF_PROG_LOAD");
  } else if (Says(text, "in kernel or module BTFs") || Says(text, "not found in kernel BTF")) {
    failure = PlainFailure(Code::kKernelTooOld,
                           "cannot load " + file +
                               ": this kernel lacks a function or type that it needs; see error.log for its "
                               "name, use a newer kernel or load the module that has it",
                           error, "bpf_object__load");
  } else if (Says(text, "failed to find valid kernel BTF") || Says(text, "kernel BTF is missing")) {
    failure = SystemFailure(Code::kNoBtf, error, "bpf_object__load", "load " + file);
  } else if (error == EINVAL || error == EOPNOTSUPP || error == 524) {
    failure = PlainFailure(Code::kKernelTooOld,
                           "cannot load " + file +
                               ": this kernel refuses a map or program type that it needs; see error.log, use "
                               "kernel 6.1 or newer",
                           error, "bpf_object__load");
  }
  failure.log = verbose ? text : LibbpfLog::Tail(text);
  return failure;
}

}  // namespace

std::unique_ptr<BpfObject> BpfObject::New(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  Options options;
  options.file = args.String("file");
  options.pins = args.OptionalString("pins").value_or("");
  if (!args.ok()) return nullptr;
  if (!info[2].IsArray()) args.Refuse("maxEntries must be an array of names and sizes");
  Napi::Array sizes = info[2].As<Napi::Array>();
  for (uint32_t i = 0; args.ok() && i + 1 < sizes.Length(); i += 2) {
    Napi::Value name = sizes.Get(i), size = sizes.Get(i + 1);
    double number = size.IsNumber() ? size.As<Napi::Number>().DoubleValue() : 0;
    if (!name.IsString() || !(number >= 1 && number <= UINT32_MAX)) {
      args.Refuse("maxEntries must have numbers from 1 to " + std::to_string(UINT32_MAX));
      break;
    }
    options.sizes.emplace_back(name.As<Napi::String>().Utf8Value(), static_cast<uint32_t>(number));
  }
  if (!args.ok()) return nullptr;
  options.verbose = info[4].IsBoolean() && info[4].As<Napi::Boolean>().Value();
  if (info[5].IsArray()) {
    Napi::Array names = info[5].As<Napi::Array>();
    options.only_maps.emplace();
    for (uint32_t i = 0; i < names.Length(); i++) options.only_maps->push_back(names.Get(i).ToString().Utf8Value());
  }

  std::optional<EnteredNamespace> entered;
  if (!info[3].IsNull() && !info[3].IsUndefined()) {
    Namespace* ns = Wrap<Namespace>::Argument(info, 3);
    if (ns == nullptr) return nullptr;
    Result<EnteredNamespace> result = ns->Enter();
    if (!result.ok()) {
      Throw(env, result.failure());
      return nullptr;
    }
    entered.emplace(std::move(*result));
  }
  auto object = std::make_unique<BpfObject>();
  Status failure = object->Load(options);
  if (!failure.has_value()) return object;
  Throw(env, *failure);
  return nullptr;
}

Status BpfObject::Load(const Options& options) {
  if (access(options.file.c_str(), R_OK) != 0) {
    return SystemFailure(errno, "open", "read the BPF object " + options.file);
  }
  if (!options.pins.empty() && !IsInBpffs(options.pins)) {
    return PlainFailure(Code::kNoBpffs, options.pins + " is not in a bpffs; mount one: mount -t bpf bpf /sys/fs/bpf", 0,
                        "statfs");
  }
  LibbpfLog log(options.verbose);
  LIBBPF_OPTS(bpf_object_open_opts, open, .kernel_log_level = options.verbose ? 1U : 0U);
  object_.reset(bpf_object__open_file(options.file.c_str(), &open));
  if (object_ == nullptr) {
    int error = errno;
    Failure failure =
        PlainFailure(Code::kObject, options.file + " is not a BPF object that libbpf can read; build it again", error,
                     "bpf_object__open_file");
    failure.log = LibbpfLog::Tail(log.text());
    return failure;
  }
  maps_ = NameMaps(object_.get());
  if (Status failure = Resize(options)) return failure;
  if (options.only_maps.has_value()) {
    if (Status failure = LeaveOut(options)) return failure;
  }
  if (!options.pins.empty()) {
    if (Status failure = ReusePinnedMaps(maps_, options.pins, &kept_)) return failure;
  }
  if (int error = bpf_object__load(object_.get()); error != 0) {
    return LoadFailure(-error, options.file, log, options.verbose);
  }
  if (options.verbose) log_ = log.text();
  return options.pins.empty() ? std::nullopt : PinLoaded(object_.get(), maps_, options.pins);
}

Status BpfObject::Resize(const Options& options) {
  for (const auto& [name, entries] : options.sizes) {
    struct bpf_map* found = nullptr;
    for (const ObjectMap& map : maps_) {
      if (map.name == name) found = map.map;
    }
    if (found == nullptr) {
      return PlainFailure(Code::kNotFound, options.file + " has no map " + name + "; check the name in maxEntries",
                          ENOENT);
    }
    if (int error = bpf_map__set_max_entries(found, entries); error != 0) {
      return SystemFailure(-error, "bpf_map__set_max_entries", "set the size of map " + name);
    }
  }
  return std::nullopt;
}

Status BpfObject::LeaveOut(const Options& options) {
  struct bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) bpf_program__set_autoload(program, false);
  std::erase_if(maps_, [&](const ObjectMap& map) {
    return std::find(options.only_maps->begin(), options.only_maps->end(), map.name) == options.only_maps->end();
  });
  if (maps_.size() != options.only_maps->size()) {
    return PlainFailure(Code::kNotFound, options.file + " has not all of these maps; check the names in onlyMaps",
                        ENOENT);
  }
  struct bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    bool wanted = std::any_of(maps_.begin(), maps_.end(), [&](const ObjectMap& one) { return one.map == map; });
    if (!wanted) bpf_map__set_autocreate(map, false);
  }
  return std::nullopt;
}

std::vector<napi_property_descriptor> BpfObject::Methods(Addon* addon) {
  using W = Wrap<BpfObject>;
  return {
      W::PropertyWhenClosed<&BpfObject::Kept>("kept", addon),
      W::PropertyWhenClosed<&BpfObject::VerifierLog>("verifierLog", addon),
      W::Method<&BpfObject::MapNames>("mapNames", addon),
      W::Method<&BpfObject::ProgramNames>("programNames", addon),
      W::Method<&BpfObject::Map>("map", addon),
      W::Method<&BpfObject::Program>("program", addon),
  };
}

Napi::Value BpfObject::Kept(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array array = Napi::Array::New(env, kept_.size());
  for (uint32_t i = 0; i < kept_.size(); i++) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("map", kept_[i].map);
    object.Set("entries", kept_[i].entries);
    object.Set("asked", kept_[i].asked);
    array.Set(i, object);
  }
  return array;
}

Napi::Value BpfObject::VerifierLog(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), log_);
}

Napi::Value BpfObject::MapNames(const Napi::CallbackInfo& info) {
  Napi::Array array = Napi::Array::New(info.Env(), maps_.size());
  for (uint32_t i = 0; i < maps_.size(); i++) array.Set(i, maps_[i].name);
  return array;
}

Napi::Value BpfObject::ProgramNames(const Napi::CallbackInfo& info) {
  Napi::Array array = Napi::Array::New(info.Env());
  struct bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) array.Set(array.Length(), bpf_program__name(program));
  return array;
}

Napi::Value BpfObject::Map(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  std::string name = args.String("name");
  if (!args.ok()) return env.Undefined();
  for (const ObjectMap& map : maps_) {
    if (map.name != name) continue;
    Fd fd = Fd::DuplicateOf(bpf_map__fd(map.map));
    if (!fd.open()) return Throw(env, SystemFailure(errno, "fcntl", "open the map " + name));
    Result<std::unique_ptr<BpfMap>> result = BpfMap::From(std::move(fd));
    if (!result.ok()) return Throw(env, result.failure());
    return Wrap<BpfMap>::Adopt(env, static_cast<Addon*>(info.Data()), std::move(*result));
  }
  return Throw(env, PlainFailure(Code::kNotFound, "the BPF object has no map " + name + "; check the name", ENOENT));
}

Napi::Value BpfObject::Program(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  std::string name = args.String("name");
  if (!args.ok()) return env.Undefined();
  struct bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  if (program == nullptr) {
    return Throw(env,
                 PlainFailure(Code::kNotFound, "the BPF object has no program " + name + "; check the name", ENOENT));
  }
  Fd fd = Fd::DuplicateOf(bpf_program__fd(program));
  if (!fd.open()) return Throw(env, SystemFailure(errno, "fcntl", "open the program " + name));
  return Wrap<BpfProgram>::Adopt(env, static_cast<Addon*>(info.Data()), std::make_unique<BpfProgram>(std::move(fd)));
}

}  // namespace relatd
