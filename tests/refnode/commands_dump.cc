// DUMP and RESTORE, in Redis' RDB encoding as Kvrocks writes it.
//
// One trap is kept on purpose: Kvrocks stores every text of up to eleven bytes
// that strtoll() reads as a 32-bit integer as that integer. "007", "+5" and " 5"
// come back as "7", "5" and "5".
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "commands.h"

namespace walstitch::refnode {
namespace {

constexpr uint8_t kRdbString = 0;
constexpr uint8_t kRdbList = 1;
constexpr uint8_t kRdbSet = 2;
constexpr uint8_t kRdbHash = 4;
constexpr uint8_t kRdbZSet = 5;
constexpr uint8_t kRdbQuickList = 14;
constexpr int kMaxRdbVersion = 12;
constexpr size_t kFooterBytes = 10;
constexpr size_t kZipListHeaderBytes = 10;

uint64_t Crc64(std::string_view bytes) {
  static const std::array<uint64_t, 256> table = [] {
    std::array<uint64_t, 256> made{};
    constexpr uint64_t kReflectedPolynomial = 0x95ac9329ac4bc9b5ULL;
    for (uint64_t n = 0; n < made.size(); ++n) {
      uint64_t crc = n;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReflectedPolynomial : 0);
      made[n] = crc;
    }
    return made;
  }();
  uint64_t crc = 0;
  for (const char c : bytes) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return crc;
}

void PutLittleEndian(std::string* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

void PutLength(std::string* out, uint64_t length) {
  if (length < (1U << 6)) {
    out->push_back(static_cast<char>(length));
  } else if (length < (1U << 14)) {
    out->push_back(static_cast<char>(0x40 | (length >> 8)));
    out->push_back(static_cast<char>(length));
  } else {
    out->push_back(static_cast<char>(0x80));
    PutFixed32(out, static_cast<uint32_t>(length));
  }
}

void PutString(std::string* out, const std::string& text) {
  if (!text.empty() && text.size() <= 11) {
    errno = 0;
    char* end = nullptr;
    const int64_t number = std::strtoll(text.c_str(), &end, 10);
    if (errno == 0 && end == text.c_str() + text.size()) {
      int encoding = -1;
      if (number == static_cast<int8_t>(number)) {
        encoding = 0;
      } else if (number == static_cast<int16_t>(number)) {
        encoding = 1;
      } else if (number == static_cast<int32_t>(number)) {
        encoding = 2;
      }
      if (encoding >= 0) {
        out->push_back(static_cast<char>(0xc0 | encoding));
        PutLittleEndian(out, static_cast<uint64_t>(number), 1 << encoding);
        return;
      }
    }
  }
  PutLength(out, text.size());
  out->append(text);
}

// A ziplist of one element, which is how a list's elements are dumped.
std::string ZipListOfOne(const std::string& element) {
  std::string entry(1, '\0');
  if (element.size() < (1U << 6)) {
    entry.push_back(static_cast<char>(element.size()));
  } else if (element.size() < (1U << 14)) {
    entry.push_back(static_cast<char>(0x40 | (element.size() >> 8)));
    entry.push_back(static_cast<char>(element.size()));
  } else {
    entry.push_back(static_cast<char>(0x80));
    PutFixed32(&entry, static_cast<uint32_t>(element.size()));
  }
  entry += element;
  std::string out;
  PutLittleEndian(&out, kZipListHeaderBytes + entry.size() + 1, 4);
  PutLittleEndian(&out, kZipListHeaderBytes, 4);
  PutLittleEndian(&out, 1, 2);
  return out + entry + '\xff';
}

struct Element {
  std::string name;
  std::string value;
};

std::vector<Element> ElementsOf(Storage& storage, const std::string& key, const Metadata& metadata) {
  std::vector<Element> elements;
  const std::string prefix = ElementKey(key, metadata.version, "");
  const auto iterator = storage.NewIterator(ColumnFamily::kSubkey);
  for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix); iterator->Next()) {
    elements.push_back(
        {std::string(ElementOf(iterator->key().ToStringView())), iterator->value().ToString()});
  }
  return elements;
}

std::string Dump(CommandContext& context, const Args& args) {
  const std::string key = context.Key(args[1]);
  std::string bytes;
  Metadata metadata;
  size_t consumed = 0;
  if (!context.storage.Get(ColumnFamily::kMetadata, key, &bytes).ok() || !metadata.Decode(bytes, &consumed) ||
      metadata.Expired(NowMs())) {
    return resp::Nil();
  }
  std::string out;
  std::vector<Element> elements;
  if (metadata.Type() != ValueType::kString) elements = ElementsOf(context.storage, key, metadata);
  switch (metadata.Type()) {
    case ValueType::kString:
      out.push_back(kRdbString);
      PutString(&out, bytes.substr(consumed));
      break;
    case ValueType::kHash:
      out.push_back(kRdbHash);
      PutLength(&out, elements.size());
      for (const Element& element : elements) {
        PutString(&out, element.name);
        PutString(&out, element.value);
      }
      break;
    case ValueType::kList:
      out.push_back(kRdbQuickList);
      PutLength(&out, elements.size());
      for (const Element& element : elements) PutString(&out, ZipListOfOne(element.value));
      break;
    case ValueType::kSet:
      out.push_back(kRdbSet);
      PutLength(&out, elements.size());
      for (const Element& element : elements) PutString(&out, element.name);
      break;
    case ValueType::kZSet:
      // Highest score first; the stored scores sort as bytes.
      std::stable_sort(elements.begin(), elements.end(),
                       [](const Element& left, const Element& right) { return left.value > right.value; });
      out.push_back(kRdbZSet);
      PutLength(&out, elements.size());
      for (const Element& element : elements) {
        PutString(&out, element.name);
        PutLittleEndian(&out, std::bit_cast<uint64_t>(DecodeScore(element.value)), 8);
      }
      break;
    case ValueType::kNone:
    case ValueType::kBitmap:
    case ValueType::kSortedInt:
    case ValueType::kStream:
    case ValueType::kBloomFilter:
    case ValueType::kJson:
    case ValueType::kHyperLogLog:
      return resp::Error("ERR Invalid or Not supported object type");
  }
  PutLittleEndian(&out, 6, 2);
  PutLittleEndian(&out, Crc64(out), 8);
  return resp::Bulk(out);
}

// Takes a payload apart; every call says whether there was enough of it.
class PayloadReader {
 public:
  explicit PayloadReader(std::string_view bytes) : left_(bytes) {}

  bool Byte(uint8_t* value) {
    if (left_.empty()) return false;
    *value = static_cast<uint8_t>(left_.front());
    left_.remove_prefix(1);
    return true;
  }

  bool LittleEndian(int bytes, uint64_t* value) {
    *value = 0;
    for (int i = 0; i < bytes; ++i) {
      uint8_t byte = 0;
      if (!Byte(&byte)) return false;
      *value |= static_cast<uint64_t>(byte) << (8 * i);
    }
    return true;
  }

  // `is_encoded`: not a length but a kind of integer.
  bool Length(uint64_t* length, bool* is_encoded) {
    uint8_t first = 0;
    uint8_t second = 0;
    uint32_t wide = 0;
    if (!Byte(&first)) return false;
    *is_encoded = (first >> 6) == 3;
    *length = first & 0x3f;
    if ((first >> 6) == 1) {
      if (!Byte(&second)) return false;
      *length = (*length << 8) | second;
    } else if (first == 0x80) {
      if (!TakeFixed32(&left_, &wide)) return false;
      *length = wide;
    } else if (first == 0x81) {
      if (!TakeFixed64(&left_, length)) return false;
    }
    return true;
  }

  bool String(std::string* text) {
    uint64_t length = 0;
    bool is_encoded = false;
    if (!Length(&length, &is_encoded)) return false;
    if (is_encoded) {
      uint64_t raw = 0;
      if (length > 2 || !LittleEndian(1 << length, &raw)) return false;
      const int64_t number = length == 0   ? static_cast<int8_t>(raw)
                             : length == 1 ? static_cast<int16_t>(raw)
                                           : static_cast<int32_t>(raw);
      *text = std::to_string(number);
      return true;
    }
    if (length > left_.size()) return false;
    *text = left_.substr(0, length);
    left_.remove_prefix(length);
    return true;
  }

 private:
  std::string_view left_;
};

bool ReadZipListOfOne(const std::string& ziplist, std::string* element) {
  PayloadReader reader(std::string_view(ziplist).substr(std::min(kZipListHeaderBytes + 1, ziplist.size())));
  return reader.String(element);
}

// The command that makes the value; empty if the payload makes no sense.
Args CommandFor(const std::string& key, std::string_view payload, uint64_t expire_ms) {
  PayloadReader reader(payload);
  uint8_t type = 0;
  std::string text;
  if (!reader.Byte(&type)) return {};
  if (type == kRdbString) {
    if (!reader.String(&text)) return {};
    if (expire_ms == 0) return {"set", key, text};
    return {"set", key, text, "pxat", std::to_string(expire_ms)};
  }
  uint64_t count = 0;
  bool is_encoded = false;
  if (!reader.Length(&count, &is_encoded) || is_encoded) return {};
  Args command;
  std::map<std::string, std::string> fields;
  for (uint64_t i = 0; i < count; ++i) {
    std::string value;
    uint64_t bits = 0;
    if (!reader.String(&text)) return {};
    switch (type) {
      case kRdbSet:
      case kRdbList:
        command.push_back(text);
        break;
      case kRdbQuickList:
        if (!ReadZipListOfOne(text, &value)) return {};
        command.push_back(value);
        break;
      case kRdbHash:
        if (!reader.String(&value)) return {};
        fields[text] = value;
        break;
      case kRdbZSet: {
        if (!reader.LittleEndian(8, &bits)) return {};
        char score[64];
        std::snprintf(score, sizeof score, "%.17g", std::bit_cast<double>(bits));
        command.emplace_back(score);
        command.push_back(text);
        break;
      }
      default:
        return {};
    }
  }
  for (const auto& [field, value] : fields) command.insert(command.end(), {field, value});
  if (command.empty()) return {};
  const char* name = type == kRdbSet    ? "sadd"
                     : type == kRdbHash ? "hset"
                     : type == kRdbZSet ? "zadd"
                                        : "rpush";
  command.insert(command.begin(), {name, key});
  return command;
}

std::string Run(CommandContext& context, const Args& args) {
  return FindCommand(args[0])->run(context, args);
}

struct RestoreOptions {
  int64_t ttl_ms = 0;
  bool replace = false;
  bool is_absolute = false;
};

std::string ParseRestore(const Args& args, RestoreOptions* options) {
  if (const std::string error = IntegerError(args[2]); !error.empty()) return error;
  ParseInteger(args[2], &options->ttl_ms);
  if (options->ttl_ms < 0) return "out of numeric range";
  for (size_t i = 4; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "replace")) {
      options->replace = true;
    } else if (EqualsIgnoreCase(args[i], "absttl")) {
      options->is_absolute = true;
    } else {
      return kSyntaxError;
    }
  }
  return "";
}

std::string CheckRestore(const Args& args) {
  RestoreOptions options;
  return ParseRestore(args, &options);
}

std::string Restore(CommandContext& context, const Args& args) {
  RestoreOptions options;
  ParseRestore(args, &options);
  const std::string& key = args[1];
  const std::string& payload = args[3];
  // As in Kvrocks, the old value goes before the new one is looked at.
  if (options.replace) {
    Run(context, {"del", key});
  } else if (Run(context, {"exists", key}) != resp::Integer(0)) {
    return resp::Error("ERR target key name already exists.");
  }
  const uint64_t now_ms = NowMs();
  auto ttl_ms = static_cast<uint64_t>(options.ttl_ms);
  if (ttl_ms > 0 && options.is_absolute) {
    if (ttl_ms <= now_ms) return resp::Ok();
    ttl_ms -= now_ms;
  }
  if (payload.size() < kFooterBytes) return resp::Error("ERR invalid payload length");
  PayloadReader footer(std::string_view(payload).substr(payload.size() - kFooterBytes));
  uint64_t version = 0;
  uint64_t crc = 0;
  footer.LittleEndian(2, &version);
  footer.LittleEndian(8, &crc);
  if (version > kMaxRdbVersion) {
    return resp::Error("ERR invalid or unsupported rdb version: " + std::to_string(version));
  }
  if (crc != Crc64(std::string_view(payload).substr(0, payload.size() - 8))) {
    return resp::Error("ERR incorrect checksum");
  }
  const uint64_t expire_ms = ttl_ms == 0 ? 0 : now_ms + ttl_ms;
  const Args command =
      CommandFor(key, std::string_view(payload).substr(0, payload.size() - kFooterBytes), expire_ms);
  if (command.empty()) return resp::Error("ERR invalid or unsupported object type");
  const std::string reply = Run(context, command);
  if (reply[0] == '-') return reply;
  if (expire_ms != 0 && command[0] != "set") Run(context, {"pexpireat", key, std::to_string(expire_ms)});
  return resp::Ok();
}

}  // namespace

const std::vector<Command>& DumpCommands() {
  static const std::vector<Command> commands = {
      {"dump", 2, kReadOnly, Dump, nullptr, 1, 1, 1},
      {"restore", -4, kWrite, Restore, CheckRestore, 1, 1, 1},
  };
  return commands;
}

}  // namespace walstitch::refnode
