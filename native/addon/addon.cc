// SPDX-License-Identifier: Apache-2.0
#include "addon.h"

#include <bpf/libbpf_version.h>

#include "attach.h"
#include "bpf_map.h"
#include "bpf_object.h"
#include "bpf_program.h"
#include "cgroup.h"
#include "conntrack.h"
#include "directory_lock.h"
#include "event_ring.h"
#include "hold_device.h"
#include "match.h"
#include "namespace.h"
#include "notify.h"
#include "system.h"
#include "tcx.h"
#include "wrap.h"

#if LIBBPF_MAJOR_VERSION < 1 || (LIBBPF_MAJOR_VERSION == 1 && LIBBPF_MINOR_VERSION < 1)
#error "libbpf 1.1 or newer is needed: apt-get install libbpf-dev (Debian 12 or newer)"
#endif

namespace relatd {
namespace {

template <class T>
void Export(Napi::Env env, Napi::Object exports, Addon* addon) {
  exports.Set(T::kName, Wrap<T>::Define(env, addon));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon();
  // Freed with the environment, after all cleanup hooks.
  env.SetInstanceData<Addon>(addon);
  exports.Set("errorCodes", CodeNames(env));
  Export<Namespace>(env, exports, addon);
  Export<InterfaceWatch>(env, exports, addon);
  Export<BpfObject>(env, exports, addon);
  Export<BpfMap>(env, exports, addon);
  Export<BpfProgram>(env, exports, addon);
  Export<TcxLink>(env, exports, addon);
  Export<EventRing>(env, exports, addon);
  Export<HoldDevice>(env, exports, addon);
  Export<DirectoryLock>(env, exports, addon);
  Export<Conntrack>(env, exports, addon);
  DefineAttach(env, exports, addon);
  DefineCgroup(env, exports, addon);
  DefineMatch(env, exports, addon);
  DefineNotify(env, exports, addon);
  DefineSystem(env, exports, addon);
  return exports;
}

}  // namespace

NODE_API_MODULE(relatd_native, Init)

}  // namespace relatd
