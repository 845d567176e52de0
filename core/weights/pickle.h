#pragma once

#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hqtrack {

/// A tensor as a pickle describes it: a view of a storage that lies elsewhere in the file.
/// The view is known to stay inside the storage.
struct StoredTensor {
  std::string storage_key;
  at::ScalarType type = at::kFloat;
  int64_t storage_numel = 0;
  int64_t offset = 0;  // values
  std::vector<int64_t> sizes, strides;
};

/// One Python object, as far as files of tensors need them.
struct PickleValue {
  enum class Kind {
    kNone,
    kInteger,  // fits 64 bits
    kText,
    kList,
    kTuple,
    kDict,
    kTensor,
    kOther,   // something harmless whose value is of no use here: a float, bool, bytes, set ...
    kGlobal,  // a name from the list of allowed ones; only seen inside the reader
    kStorage  // only seen inside the reader
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;                   // of a bool: 0 or 1
  std::string text;                      // kText; name of kGlobal
  std::vector<PickleValue*> items;       // of kList, kTuple; key, value, key, value ... of kDict
  std::unique_ptr<StoredTensor> tensor;  // kTensor; kStorage, where only the first three members count

  /// Value of a text key in a dict; null when it is not there or this is no dict.
  const PickleValue* find(std::string_view key) const;
};

/// The kind in words for messages: "a dict", "a tensor" ...
const char* to_string(PickleValue::Kind kind);

/// All objects of one pickle. They may form cycles, so nothing may walk them without a limit.
struct Pickle {
  std::deque<PickleValue> values;  // owns everything `root` reaches
  const PickleValue* root = nullptr;
};

/// Reads a pickle of protocol 2 to 5 as torch.save writes it. Nothing is ever executed: a global is a name on
/// a list of allowed ones, and "calling" one is a case of a switch that makes plain data. Throws
/// WeightsError, with `source` in front, for any other global (named in the message), a malformed stream, a
/// view that leaves its storage, and more than 10 million objects. With `end`, more may follow the pickle:
/// *end becomes the number of its bytes.
Pickle read_pickle(std::string_view bytes, const std::string& source, size_t* end = nullptr);

}  // namespace hqtrack
