// SPDX-License-Identifier: Apache-2.0
#include "libbpf_log.h"

#include <bpf/libbpf.h>
#include <stdio.h>

#include <mutex>

namespace relatd {
namespace {

thread_local LibbpfLog* current = nullptr;
std::once_flag installed;

}  // namespace

LibbpfLog::LibbpfLog(bool debug) : debug_(debug), outer_(current) {
  std::call_once(installed, [] {
    libbpf_set_print([](enum libbpf_print_level level, const char* format, va_list arguments) {
      return Print(static_cast<int>(level), format, arguments);
    });
  });
  current = this;
}

LibbpfLog::~LibbpfLog() {
  current = outer_;
}

int LibbpfLog::Print(int level, const char* format, __builtin_va_list arguments) {
  if (current == nullptr || (level == LIBBPF_DEBUG && !current->debug_)) return 0;
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0) return 0;
  std::string& text = current->text_;
  size_t start = text.size();
  text.resize(start + static_cast<size_t>(length) + 1);
  vsnprintf(text.data() + start, static_cast<size_t>(length) + 1, format, arguments);
  text.pop_back();
  return length;
}

bool LibbpfLog::has_verifier_log() const {
  return text_.find("BEGIN PROG LOAD LOG") != std::string::npos;
}

std::string LibbpfLog::Tail(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t line = text.find('\n', text.size() - most);
  return "…\n" + text.substr(line == std::string::npos ? text.size() - most : line + 1);
}

}  // namespace relatd
