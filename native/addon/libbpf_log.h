// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace relatd {

// Collects what libbpf would print, on this thread, while it lives. libbpf's print callback is one per process, so it
// is set once and looks for the collector of its own thread; without one the message is dropped. Nothing is ever
// printed.
class LibbpfLog {
 public:
  // debug: also what libbpf says when all is well, verifier logs included.
  explicit LibbpfLog(bool debug = false);
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  const std::string& text() const { return text_; }
  bool has_verifier_log() const;
  // The last lines that fit, for an error.
  static std::string Tail(const std::string& text, size_t most = 16384);

 private:
  static int Print(int level, const char* format, __builtin_va_list arguments);

  std::string text_;
  bool debug_;
  LibbpfLog* outer_;
};

}  // namespace relatd
