// SPDX-License-Identifier: Apache-2.0
#include "bpf_map.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "args.h"
#include "bpf_program.h"
#include "bpf_syscall.h"
#include "bpffs.h"
#include "wrap.h"

namespace relatd {
namespace {

Napi::Object ToObject(Napi::Env env, const MapShape& shape, const MapContent& content) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("count", static_cast<double>(content.count));
  object.Set("keys", CopyBytes(env, content.keys.data(), content.count * shape.key_size));
  object.Set("values", CopyBytes(env, content.values.data(), content.count * shape.stride));
  return object;
}

// Reads a map on a libuv thread. Has its own descriptor: the map may be closed meanwhile.
class EntriesWorker : public Napi::AsyncWorker {
 public:
  EntriesWorker(Napi::Env env, Fd fd, const MapShape& shape)
      : Napi::AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), fd_(std::move(fd)), shape_(shape) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { content_.emplace(ReadMap(fd_.get(), shape_)); }
  void OnOK() override {
    Napi::HandleScope scope(Env());
    if (content_->ok()) {
      deferred_.Resolve(ToObject(Env(), shape_, **content_));
    } else {
      deferred_.Reject(ToError(Env(), content_->failure()));
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  Fd fd_;
  MapShape shape_;
  std::optional<Result<MapContent>> content_;
};

// Checks that an array of `count` elements of `size` bytes fits.
void CheckLength(Args& args, const char* name, size_t length, uint64_t count, uint32_t size) {
  if (length < count * size) {
    args.Refuse(std::string(name) + " must have at least " + std::to_string(count * size) + " bytes (" +
                std::to_string(count) + " of " + std::to_string(size) + "), not " + std::to_string(length));
  }
}

void CheckExact(Args& args, const char* name, size_t length, uint32_t size) {
  if (length != size) {
    args.Refuse(std::string(name) + " must have " + std::to_string(size) + " bytes, not " + std::to_string(length));
  }
}

}  // namespace

Result<std::unique_ptr<BpfMap>> BpfMap::From(Fd fd) {
  Result<MapShape> shape = MapShape::Of(fd.get());
  if (!shape.ok()) return shape.failure();
  return std::unique_ptr<BpfMap>(new BpfMap(std::move(fd), std::move(*shape)));
}

std::unique_ptr<BpfMap> BpfMap::New(const Napi::CallbackInfo& info) {
  Args args(info);
  std::string path = args.String("path");
  if (!args.ok()) return nullptr;
  Result<Fd> fd = OpenPin(path, BpfKind::kMap);
  if (!fd.ok()) {
    Throw(info.Env(), fd.failure());
    return nullptr;
  }
  Result<std::unique_ptr<BpfMap>> map = From(std::move(*fd));
  if (map.ok()) return std::move(*map);
  Throw(info.Env(), map.failure());
  return nullptr;
}

std::vector<napi_property_descriptor> BpfMap::Methods(Addon* addon) {
  using W = Wrap<BpfMap>;
  return {
      W::PropertyWhenClosed<&BpfMap::Info>("info", addon),
      W::Property<&BpfMap::MemoryBytes>("memoryBytes", addon),
      W::Method<&BpfMap::Lookup>("lookup", addon),
      W::Method<&BpfMap::Update>("update", addon),
      W::Method<&BpfMap::Delete>("delete", addon),
      W::Method<&BpfMap::Entries>("entries", addon),
      W::Method<&BpfMap::EntriesSync>("entriesSync", addon),
      W::Method<&BpfMap::UpdateBatch>("updateBatch", addon),
      W::Method<&BpfMap::DeleteBatch>("deleteBatch", addon),
      W::Method<&BpfMap::SetProgram>("setProgram", addon),
      W::Method<&BpfMap::SetMap>("setMap", addon),
      W::Method<&BpfMap::Mmap>("mmap", addon),
      W::Method<&BpfMap::Pin>("pin", addon),
  };
}

std::string BpfMap::Doing(const char* verb) const {
  return std::string(verb) + " map " + shape_.name;
}

Napi::Value BpfMap::Info(const Napi::CallbackInfo& info) {
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("id", shape_.id);
  object.Set("type", shape_.type);
  object.Set("typeName", MapTypeName(shape_.type));
  object.Set("name", shape_.name);
  object.Set("keySize", shape_.key_size);
  object.Set("valueSize", shape_.value_size);
  object.Set("valueStride", shape_.stride);
  object.Set("maxEntries", shape_.max_entries);
  object.Set("flags", shape_.flags);
  object.Set("copies", shape_.copies);
  return object;
}

Napi::Value BpfMap::MemoryBytes(const Napi::CallbackInfo& info) {
  std::string path = "/proc/self/fdinfo/" + std::to_string(fd());
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return Throw(info.Env(), SystemFailure(errno, "open", Doing("read the memory use of")));
  char line[256];
  double bytes = 0;
  while (fgets(line, sizeof(line), file) != nullptr) {
    unsigned long long value = 0;
    if (sscanf(line, "memlock: %llu", &value) == 1) bytes = static_cast<double>(value);
  }
  fclose(file);
  return Napi::Number::New(info.Env(), bytes);
}

Napi::Value BpfMap::Lookup(const Napi::CallbackInfo& info) {
  Args args(info);
  std::span<uint8_t> key = args.Bytes("key");
  if (args.ok()) CheckExact(args, "key", key.size(), shape_.key_size);
  if (!args.ok()) return info.Env().Undefined();
  Napi::Uint8Array value = Napi::Uint8Array::New(info.Env(), shape_.stride);
  if (value.IsEmpty()) return info.Env().Undefined();
  if (bpf_map_lookup_elem(fd(), key.data(), value.Data()) == 0) return value;
  if (errno == ENOENT) return info.Env().Null();
  return Throw(info.Env(), SystemFailure(errno, "BPF_MAP_LOOKUP_ELEM", Doing("read an entry of")));
}

Napi::Value BpfMap::Update(const Napi::CallbackInfo& info) {
  Args args(info);
  std::span<uint8_t> key = args.Bytes("key");
  std::span<uint8_t> value = args.Bytes("value");
  uint32_t flags = args.U32("flags", 0, BPF_EXIST);
  if (args.ok()) CheckExact(args, "key", key.size(), shape_.key_size);
  if (args.ok()) CheckExact(args, "value", value.size(), shape_.stride);
  if (!args.ok()) return info.Env().Undefined();
  if (bpf_map_update_elem(fd(), key.data(), value.data(), flags) != 0) {
    return Throw(info.Env(), UpdateFailure(errno, "BPF_MAP_UPDATE_ELEM", Doing("write an entry of")));
  }
  return info.Env().Undefined();
}

Napi::Value BpfMap::Delete(const Napi::CallbackInfo& info) {
  Args args(info);
  std::span<uint8_t> key = args.Bytes("key");
  if (args.ok()) CheckExact(args, "key", key.size(), shape_.key_size);
  if (!args.ok()) return info.Env().Undefined();
  if (bpf_map_delete_elem(fd(), key.data()) == 0) return Napi::Boolean::New(info.Env(), true);
  if (errno == ENOENT) return Napi::Boolean::New(info.Env(), false);
  return Throw(info.Env(), SystemFailure(errno, "BPF_MAP_DELETE_ELEM", Doing("delete an entry of")));
}

Napi::Value BpfMap::Entries(const Napi::CallbackInfo& info) {
  Fd copy = fd_.Duplicate();
  if (!copy.open()) return Throw(info.Env(), SystemFailure(errno, "fcntl", Doing("list the entries of")));
  auto* worker = new EntriesWorker(info.Env(), std::move(copy), shape_);
  Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

Napi::Value BpfMap::EntriesSync(const Napi::CallbackInfo& info) {
  Result<MapContent> content = ReadMap(fd(), shape_);
  return content.ok() ? ToObject(info.Env(), shape_, *content) : Throw(info.Env(), content.failure());
}

Napi::Value BpfMap::UpdateBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  std::span<uint8_t> keys = args.Bytes("keys");
  std::span<uint8_t> values = args.Bytes("values");
  uint32_t count = args.U32("count");
  uint32_t flags = args.U32("flags", 0, BPF_EXIST);
  if (args.ok()) CheckLength(args, "keys", keys.size(), count, shape_.key_size);
  if (args.ok()) CheckLength(args, "values", values.size(), count, shape_.stride);
  if (!args.ok() || count == 0) return env.Undefined();
  LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = flags);
  uint32_t done = count;
  int error = bpf_map_update_batch(fd(), keys.data(), values.data(), &done, &options);
  if (error == -EOPNOTSUPP || error == -524) {
    error = 0;
    for (done = 0; done < count && error == 0; done++) {
      error = bpf_map_update_elem(fd(), keys.data() + size_t{done} * shape_.key_size,
                                  values.data() + size_t{done} * shape_.stride, flags);
      if (error != 0) break;
    }
  }
  if (error == 0) return env.Undefined();
  Napi::Object object = ToError(env, UpdateFailure(-error, "BPF_MAP_UPDATE_BATCH", Doing("write a batch to")));
  // Before it reads the first key the kernel leaves the count as it was.
  object.Set("done", error == -EINVAL && done == count ? 0 : done);
  napi_throw(env, object);
  return env.Undefined();
}

Napi::Value BpfMap::DeleteBatch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  std::span<uint8_t> keys = args.Bytes("keys");
  uint32_t count = args.U32("count");
  if (args.ok()) CheckLength(args, "keys", keys.size(), count, shape_.key_size);
  if (!args.ok()) return env.Undefined();
  uint32_t deleted = 0;
  bool batched = true;
  for (uint32_t at = 0; at < count;) {
    uint8_t* key = keys.data() + size_t{at} * shape_.key_size;
    uint32_t done = batched ? count - at : 1;
    int error = batched ? bpf_map_delete_batch(fd(), key, &done, nullptr) : bpf_map_delete_elem(fd(), key);
    if (batched && (error == -EOPNOTSUPP || error == -524)) {
      batched = false;
      continue;
    }
    if (error != 0 && error != -ENOENT) {
      return Throw(env, SystemFailure(-error, "BPF_MAP_DELETE_BATCH", Doing("delete a batch from")));
    }
    // The kernel stops at the first key that is not there: pass over it.
    if (!batched && error != 0) done = 0;
    deleted += done;
    at += done + (error != 0 ? 1 : 0);
  }
  return Napi::Number::New(env, deleted);
}

Napi::Value BpfMap::PutDescriptor(const Napi::CallbackInfo& info, int descriptor) {
  Args args(info);
  std::span<uint8_t> key = args.Bytes("key");
  if (args.ok()) CheckExact(args, "key", key.size(), shape_.key_size);
  if (!args.ok()) return info.Env().Undefined();
  if (shape_.value_size != sizeof(descriptor)) {
    return Throw(info.Env(), ArgumentFailure("map " + shape_.name + " holds no programs or maps; use update"));
  }
  if (bpf_map_update_elem(fd(), key.data(), &descriptor, BPF_ANY) != 0) {
    return Throw(info.Env(), UpdateFailure(errno, "BPF_MAP_UPDATE_ELEM", Doing("write an entry of")));
  }
  return info.Env().Undefined();
}

Napi::Value BpfMap::SetProgram(const Napi::CallbackInfo& info) {
  BpfProgram* program = Wrap<BpfProgram>::Argument(info, 1);
  if (program == nullptr) return info.Env().Undefined();
  if (shape_.type != BPF_MAP_TYPE_PROG_ARRAY) {
    return Throw(info.Env(), ArgumentFailure("map " + shape_.name + " is not a program array; use update"));
  }
  return PutDescriptor(info, program->fd());
}

Napi::Value BpfMap::SetMap(const Napi::CallbackInfo& info) {
  BpfMap* map = Wrap<BpfMap>::Argument(info, 1);
  if (map == nullptr) return info.Env().Undefined();
  if (shape_.type != BPF_MAP_TYPE_ARRAY_OF_MAPS && shape_.type != BPF_MAP_TYPE_HASH_OF_MAPS) {
    return Throw(info.Env(), ArgumentFailure("map " + shape_.name + " does not hold maps; use update"));
  }
  return PutDescriptor(info, map->fd());
}

Napi::Value BpfMap::Mmap(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if ((shape_.flags & BPF_F_MMAPABLE) == 0) {
    return Throw(
        env, ArgumentFailure("map " + shape_.name + " cannot be mapped; declare it as an array with BPF_F_MMAPABLE"));
  }
  size_t length = size_t{(shape_.value_size + 7) & ~7U} * shape_.max_entries;
  void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd(), 0);
  if (memory == MAP_FAILED) {
    // A frozen map (.rodata) is refused: a write by JavaScript would end the process with SIGSEGV.
    return Throw(env, SystemFailure(errno, "mmap", Doing("share memory with")));
  }
  // The mapping holds the map by itself.
  auto* size = new size_t(length);
  napi_value buffer = nullptr;
  napi_status status = napi_create_external_arraybuffer(
      env, memory, length,
      [](napi_env, void* data, void* hint) {
        auto* mapped = static_cast<size_t*>(hint);
        munmap(data, *mapped);
        delete mapped;
      },
      size, &buffer);
  if (status != napi_ok) {
    munmap(memory, length);
    delete size;
    return Throw(env, PlainFailure(Code::kSystem, "this Node cannot share memory with JavaScript; use lookup instead"));
  }
  return Napi::Value(env, buffer);
}

Napi::Value BpfMap::Pin(const Napi::CallbackInfo& info) {
  Args args(info);
  std::string path = args.String("path");
  if (!args.ok()) return info.Env().Undefined();
  if (Status failure = PinObject(fd(), path, false)) return Throw(info.Env(), *failure);
  return info.Env().Undefined();
}

}  // namespace relatd
