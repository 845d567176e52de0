#include "core/weights/pickle.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_map>

#include "core/error.h"
#include "core/weights/file_reader.h"

namespace hqtrack {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMostValues = 10'000'000;
constexpr size_t kMostDimensions = 32;
constexpr size_t kLongestKey = 64;  // names of storages are small numbers

/// The instructions of protocols 2 to 5; what is missing here (text forms, buffers outside) torch.save never
/// writes.
// clang-format off
enum Op : uint8_t {
  kMark = '(', kStop = '.', kPop = '0', kPopMark = '1', kDuplicate = '2', kProtocol = 0x80, kFrame = 0x95,
  kNone = 'N', kTrue = 0x88, kFalse = 0x89, kInt32 = 'J', kUint8 = 'K', kUint16 = 'M', kLong1 = 0x8a, kLong4 = 0x8b,
  kFloat64 = 'G', kString = 'T', kShortString = 'U', kText = 'X', kShortText = 0x8c, kText8 = 0x8d,
  kBytes = 'B', kShortBytes = 'C', kBytes8 = 0x8e, kByteArray8 = 0x96,
  kEmptyList = ']', kList = 'l', kAppend = 'a', kAppends = 'e', kEmptyTuple = ')', kTuple = 't', kTuple1 = 0x85,
  kTuple2 = 0x86, kTuple3 = 0x87, kEmptyDict = '}', kDict = 'd', kSetItem = 's', kSetItems = 'u',
  kEmptySet = 0x8f, kAddItems = 0x90, kFrozenSet = 0x91,
  kPut1 = 'q', kPut4 = 'r', kMemoize = 0x94, kGet1 = 'h', kGet4 = 'j',
  kGlobal = 'c', kStackGlobal = 0x93, kReduce = 'R', kBuild = 'b', kPersistentId = 'Q',
  kInstance = 'i', kObject = 'o', kNewObject = 0x81, kNewObjectEx = 0x92,
  kExtension1 = 0x82, kExtension2 = 0x83, kExtension4 = 0x84
};
// clang-format on

/// What calling an allowed global does.
enum class Callable { kNone, kOrderedDict, kCounter, kSet, kSize, kRebuildTensor, kRebuildParameter };

struct AllowedGlobal {
  std::string_view name;
  Callable callable = Callable::kNone;
  at::ScalarType storage_type = at::ScalarType::Undefined;  // of storage classes
};

constexpr std::array<AllowedGlobal, 17> kAllowedGlobals = {{
    {"collections.OrderedDict", Callable::kOrderedDict},
    {"collections.Counter", Callable::kCounter},  // learning rate schedules keep their milestones in one
    {"builtins.set", Callable::kSet},
    {"__builtin__.set", Callable::kSet},
    {"torch.Size", Callable::kSize},
    {"torch._utils._rebuild_tensor_v2", Callable::kRebuildTensor},
    {"torch._utils._rebuild_parameter", Callable::kRebuildParameter},
    {"torch.DoubleStorage", Callable::kNone, at::kDouble},
    {"torch.FloatStorage", Callable::kNone, at::kFloat},
    {"torch.HalfStorage", Callable::kNone, at::kHalf},
    {"torch.BFloat16Storage", Callable::kNone, at::kBFloat16},
    {"torch.LongStorage", Callable::kNone, at::kLong},
    {"torch.IntStorage", Callable::kNone, at::kInt},
    {"torch.ShortStorage", Callable::kNone, at::kShort},
    {"torch.CharStorage", Callable::kNone, at::kChar},
    {"torch.ByteStorage", Callable::kNone, at::kByte},
    {"torch.BoolStorage", Callable::kNone, at::kBool},
}};

const AllowedGlobal* find_allowed(std::string_view name) {
  const auto found = std::find_if(kAllowedGlobals.begin(), kAllowedGlobals.end(),
                                  [&](const AllowedGlobal& allowed) { return allowed.name == name; });
  return found == kAllowedGlobals.end() ? nullptr : &*found;
}

/// The pickle machine: a stack of values, marks in it, and a memo of values by number.
class Machine {
 public:
  Machine(std::string_view bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  Pickle run(size_t* end) {
    for (uint8_t code = take<uint8_t>(); code != kStop; code = take<uint8_t>()) {
      const bool is_known =
          load_constant(code) || build_container(code) || move_on_stack(code) || make_object(code);
      if (!is_known) fail("unknown instruction " + std::to_string(code));
    }
    pickle_.root = pop();
    if (!stack_.empty() || !marks_.empty()) fail("more than one object at the end");
    if (end) {
      *end = position_;
    } else if (position_ != bytes_.size()) {
      fail("bytes behind the end");
    }
    return std::move(pickle_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw WeightsError(source_ + ": damaged: pickle: " + what + ", at byte " + std::to_string(position_));
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw WeightsError(source_ + ": refused: expected only tensors and plain containers, found " + what);
  }

  // ---- bytes ----
  std::string_view take_bytes(uint64_t count) {
    if (count > bytes_.size() - position_) fail("cut short");
    const std::string_view taken = bytes_.substr(position_, count);
    position_ += count;
    return taken;
  }

  template <class Number>
  Number take() {
    Number value{};
    std::memcpy(&value, take_bytes(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view take_line() {
    const size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) fail("a line without end");
    const std::string_view line = bytes_.substr(position_, end - position_);
    position_ = end + 1;
    return line;
  }

  // ---- values ----
  PickleValue* make(Kind kind) {
    if (pickle_.values.size() >= kMostValues) refuse("more than 10 million objects");
    PickleValue& value = pickle_.values.emplace_back();
    value.kind = kind;
    return &value;
  }

  void push(PickleValue* value) { stack_.push_back(value); }
  PickleValue* push_new(Kind kind) {
    push(make(kind));
    return stack_.back();
  }
  void push_integer(int64_t value) { push_new(Kind::kInteger)->integer = value; }
  void push_text(std::string_view text) { push_new(Kind::kText)->text = text; }
  void push_other(uint64_t skipped_bytes = 0) {
    take_bytes(skipped_bytes);
    push_new(Kind::kOther);
  }

  PickleValue* top() const {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("nothing on the stack");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  PickleValue* pop(Kind kind) {
    PickleValue* value = pop();
    expect(*value, kind);
    return value;
  }

  std::vector<PickleValue*> pop_to_mark() {
    if (marks_.empty()) fail("no mark on the stack");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue*> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }

  void expect(const PickleValue& value, Kind kind) const {
    if (value.kind != kind)
      fail(std::string("expected ") + to_string(kind) + ", found " + to_string(value.kind));
  }

  void push_container(Kind kind, std::vector<PickleValue*> items) {
    if (kind == Kind::kDict && items.size() % 2 != 0) fail("a dict key without value");
    push_new(kind)->items = std::move(items);
  }

  std::vector<PickleValue*> pop_items(size_t count) {
    std::vector<PickleValue*> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    return items;
  }

  void pop_item_or_mark() {
    if (!marks_.empty() && marks_.back() == stack_.size()) {
      marks_.pop_back();
    } else {
      pop();
    }
  }

  void extend_top(Kind kind, const std::vector<PickleValue*>& items) {
    if (kind == Kind::kDict && items.size() % 2 != 0) fail("a dict key without value");
    expect(*top(), kind);
    top()->items.insert(top()->items.end(), items.begin(), items.end());
  }

  void remember(uint64_t index) { memo_[index] = top(); }
  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("reference to an object that was not stored");
    push(found->second);
  }

  // ---- globals ----
  void push_global(std::string_view module, std::string_view name) {
    const std::string full = std::string(module) + "." + std::string(name);
    if (!find_allowed(full)) refuse("the global " + in_quotes(full));
    push_new(Kind::kGlobal)->text = full;
  }

  void push_named_global() {
    const std::string_view module = take_line();
    push_global(module, take_line());
  }

  void push_stack_global() {
    const PickleValue* name = pop(Kind::kText);
    const PickleValue* module = pop(Kind::kText);
    push_global(module->text, name->text);
  }

  /// The attributes of an OrderedDict (`_metadata` of a state_dict) are of no use here; nothing else may have
  /// any.
  void ignore_state() {
    pop();
    if (top()->kind != Kind::kDict) refuse("an object with a state of its own");
  }

  void check_protocol(int protocol) const {
    if (protocol < 2 || protocol > 5) fail("expected protocol 2 to 5, found " + std::to_string(protocol));
  }

  void call() {
    const PickleValue* arguments = pop(Kind::kTuple);
    const PickleValue* global = pop(Kind::kGlobal);
    switch (find_allowed(global->text)->callable) {
      case Callable::kNone:
        return refuse("a call of " + in_quotes(global->text));
      case Callable::kOrderedDict:
        if (!arguments->items.empty()) fail("an OrderedDict with arguments");
        push_new(Kind::kDict);
        return;
      case Callable::kCounter:
        return push(argument(arguments->items, 0, Kind::kDict));
      case Callable::kSet:
        return push_other();
      case Callable::kSize:
        return push(argument(arguments->items, 0, Kind::kTuple));
      case Callable::kRebuildTensor:
        return call_rebuild_tensor(arguments->items);
      case Callable::kRebuildParameter:
        return push(argument(arguments->items, 0, Kind::kTensor));
    }
  }

  PickleValue* argument(const std::vector<PickleValue*>& arguments, size_t index, Kind kind) const {
    if (index >= arguments.size()) fail("too few arguments");
    expect(*arguments[index], kind);
    return arguments[index];
  }

  std::vector<int64_t> integers(const PickleValue& tuple) const {
    std::vector<int64_t> numbers;
    if (tuple.items.size() > kMostDimensions) {
      fail("a tensor of " + std::to_string(tuple.items.size()) + " dimensions");
    }
    for (const PickleValue* item : tuple.items) {
      expect(*item, Kind::kInteger);
      if (item->integer < 0) fail("a negative size or stride");
      numbers.push_back(item->integer);
    }
    return numbers;
  }

  /// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])
  void call_rebuild_tensor(const std::vector<PickleValue*>& arguments) {
    const PickleValue* storage = argument(arguments, 0, Kind::kStorage);
    auto tensor = std::make_unique<StoredTensor>(*storage->tensor);
    tensor->offset = argument(arguments, 1, Kind::kInteger)->integer;
    tensor->sizes = integers(*argument(arguments, 2, Kind::kTuple));
    tensor->strides = integers(*argument(arguments, 3, Kind::kTuple));
    check_view(*tensor);
    push_new(Kind::kTensor)->tensor = std::move(tensor);
  }

  void check_view(const StoredTensor& tensor) const {
    if (tensor.sizes.size() != tensor.strides.size()) {
      fail("a tensor with " + std::to_string(tensor.sizes.size()) + " sizes and " +
           std::to_string(tensor.strides.size()) + " strides");
    }
    int64_t numel = 1, last = tensor.offset;
    bool overflows = tensor.offset < 0;
    for (size_t i = 0; i < tensor.sizes.size() && !overflows; ++i) {
      int64_t reach = 0;
      overflows =
          __builtin_mul_overflow(numel, std::max<int64_t>(tensor.sizes[i], 1), &numel) ||
          __builtin_mul_overflow(std::max<int64_t>(tensor.sizes[i] - 1, 0), tensor.strides[i], &reach) ||
          __builtin_add_overflow(last, reach, &last);
    }
    const bool is_empty = std::count(tensor.sizes.begin(), tensor.sizes.end(), 0) > 0;
    const bool fits = is_empty ? tensor.offset <= tensor.storage_numel : last < tensor.storage_numel;
    if (overflows || numel > std::numeric_limits<int64_t>::max() / 16 || !fits) {
      fail("a tensor that leaves its storage of " + std::to_string(tensor.storage_numel) + " values");
    }
  }

  /// ('storage', class, key, location, number of values[, None])
  void load_storage() {
    const PickleValue* id = pop(Kind::kTuple);
    if (argument(id->items, 0, Kind::kText)->text != "storage") fail("an unknown persistent id");
    const AllowedGlobal* storage_class = find_allowed(argument(id->items, 1, Kind::kGlobal)->text);
    if (storage_class->storage_type == at::ScalarType::Undefined) fail("a storage without a storage class");
    auto storage = std::make_unique<StoredTensor>();
    storage->type = storage_class->storage_type;
    storage->storage_key = argument(id->items, 2, Kind::kText)->text;
    storage->storage_numel = argument(id->items, 4, Kind::kInteger)->integer;
    if (storage->storage_key.size() > kLongestKey || storage->storage_numel < 0 ||
        storage->storage_numel > std::numeric_limits<int64_t>::max() / 16) {
      fail("an impossible storage");
    }
    if (id->items.size() > 5) argument(id->items, 5, Kind::kNone);  // before PyTorch 0.4: a view of a storage
    push_new(Kind::kStorage)->tensor = std::move(storage);
  }

  void push_long(uint64_t count) {
    const std::string_view digits = take_bytes(count);
    if (count > 8) return push_other();  // inert: a seed, say
    uint64_t value = count > 0 && (static_cast<unsigned char>(digits.back()) & 0x80) != 0 ? ~uint64_t{0} : 0;
    std::memcpy(&value, digits.data(), count);
    push_integer(static_cast<int64_t>(value));
  }

  // clang-format off
  // ---- instructions, by group: each returns false when the code is none of its own ----
  bool load_constant(uint8_t code) {
    switch (code) {
      case kNone: push_new(Kind::kNone); return true;
      case kTrue:
      case kFalse: push_new(Kind::kOther)->integer = code == kTrue ? 1 : 0; return true;
      case kInt32: push_integer(take<int32_t>()); return true;
      case kUint8: push_integer(take<uint8_t>()); return true;
      case kUint16: push_integer(take<uint16_t>()); return true;
      case kLong1: push_long(take<uint8_t>()); return true;
      case kLong4: push_long(take<uint32_t>()); return true;
      case kFloat64: push_other(sizeof(double)); return true;
      case kShortString:
      case kShortText: push_text(take_bytes(take<uint8_t>())); return true;
      case kString:
      case kText: push_text(take_bytes(take<uint32_t>())); return true;
      case kText8: push_text(take_bytes(take<uint64_t>())); return true;
      case kShortBytes: push_other(take<uint8_t>()); return true;
      case kBytes: push_other(take<uint32_t>()); return true;
      case kBytes8:
      case kByteArray8: push_other(take<uint64_t>()); return true;
      default: return false;
    }
  }

  bool build_container(uint8_t code) {
    switch (code) {
      case kEmptyList: push_new(Kind::kList); return true;
      case kList: push_container(Kind::kList, pop_to_mark()); return true;
      case kAppend: extend_top(Kind::kList, pop_items(1)); return true;
      case kAppends: extend_top(Kind::kList, pop_to_mark()); return true;
      case kEmptyTuple: push_new(Kind::kTuple); return true;
      case kTuple: push_container(Kind::kTuple, pop_to_mark()); return true;
      case kTuple1: push_container(Kind::kTuple, pop_items(1)); return true;
      case kTuple2: push_container(Kind::kTuple, pop_items(2)); return true;
      case kTuple3: push_container(Kind::kTuple, pop_items(3)); return true;
      case kEmptyDict: push_new(Kind::kDict); return true;
      case kDict: push_container(Kind::kDict, pop_to_mark()); return true;
      case kSetItem: extend_top(Kind::kDict, pop_items(2)); return true;
      case kSetItems: extend_top(Kind::kDict, pop_to_mark()); return true;
      case kEmptySet: push_other(); return true;
      case kAddItems: pop_to_mark(), expect(*top(), Kind::kOther); return true;
      case kFrozenSet: pop_to_mark(), push_other(); return true;
      default: return false;
    }
  }

  bool move_on_stack(uint8_t code) {
    switch (code) {
      case kMark: marks_.push_back(stack_.size()); return true;
      case kPop: pop_item_or_mark(); return true;
      case kPopMark: pop_to_mark(); return true;
      case kDuplicate: push(top()); return true;
      case kPut1: remember(take<uint8_t>()); return true;
      case kPut4: remember(take<uint32_t>()); return true;
      case kMemoize: remember(memo_.size()); return true;
      case kGet1: recall(take<uint8_t>()); return true;
      case kGet4: recall(take<uint32_t>()); return true;
      case kFrame: take<uint64_t>(); return true;
      case kProtocol: check_protocol(take<uint8_t>()); return true;
      default: return false;
    }
  }

  bool make_object(uint8_t code) {
    switch (code) {
      case kGlobal: push_named_global(); return true;
      case kStackGlobal: push_stack_global(); return true;
      case kReduce: call(); return true;
      case kBuild: ignore_state(); return true;
      case kPersistentId: load_storage(); return true;
      case kInstance: push_named_global(); [[fallthrough]];
      case kObject:
      case kNewObject:
      case kNewObjectEx: refuse("an object of a class of its own");
      case kExtension1:
      case kExtension2:
      case kExtension4: refuse("an object of a registered extension");
      default: return false;
    }
  }
  // clang-format on

  std::string_view bytes_;
  const std::string& source_;
  size_t position_ = 0;
  Pickle pickle_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->kind == Kind::kText && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kInteger:
      return "an integer";
    case Kind::kText:
      return "a text";
    case Kind::kList:
      return "a list";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kDict:
      return "a dict";
    case Kind::kTensor:
      return "a tensor";
    case Kind::kOther:
      return "a value";
    case Kind::kGlobal:
      return "a class or function";
    case Kind::kStorage:
      return "a storage";
  }
  return "a value";
}

Pickle read_pickle(std::string_view bytes, const std::string& source, size_t* end) {
  return Machine(bytes, source).run(end);
}

}  // namespace hqtrack
