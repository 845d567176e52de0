#include "core/weights/torch_pickle.h"

#include <ATen/ops/as_strided.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/weights/pickle.h"
#include "core/weights/zip_reader.h"

namespace hqtrack {
namespace {

constexpr uint64_t kLongestPickle = 64'000'000;
constexpr int64_t kMostExpandedBytes = int64_t{1} << 30;
constexpr std::string_view kPickleName = "data.pkl";

/// The archive's folder, with its slash: the file's name at the time of saving.
std::string find_folder(const FileReader& file, const ZipReader& archive) {
  for (const auto& [name, entry] : archive.entries()) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos || std::string_view(name).substr(slash + 1) != kPickleName) continue;
    const std::string folder = name.substr(0, slash + 1);
    if (archive.find(folder + "constants.pkl"))
      file.fail("expected a file of torch.save, found a TorchScript program");
    return folder;
  }
  file.fail("expected a file of torch.save, found a zip archive without data.pkl");
}

void check_byte_order(const FileReader& file, const ZipReader& archive, const std::string& folder) {
  const ZipEntry* entry = archive.find(folder + "byteorder");
  if (!entry) return;  // before PyTorch 2.1: little
  const std::string order = entry->size <= 16 ? archive.read_text(*entry) : "";
  if (order != "little") file.fail("byte order: expected little, found " + in_quotes(order));
}

/// Where the values of storages lie in a file.
class Storages {
 public:
  virtual ~Storages() = default;
  /// Copies the storage of `view`, which is as long as `storage`. `name`: of a tensor that is stored in it.
  virtual void read(const std::string& name, const StoredTensor& view, at::Tensor& storage) const = 0;
};

/// Storages as files of the archive.
class ArchivedStorages : public Storages {
 public:
  ArchivedStorages(const FileReader& file, const ZipReader& archive, std::string folder)
      : file_(file), archive_(archive), folder_(std::move(folder)) {}

  void read(const std::string& name, const StoredTensor& view, at::Tensor& storage) const override {
    const ZipEntry* entry = archive_.find(folder_ + "data/" + view.storage_key);
    if (!entry)
      file_.fail("damaged: " + in_quotes(name) + ": its storage " + in_quotes(view.storage_key) +
                 " is missing");
    archive_.check_stored(*entry);
    if (entry->size != storage.nbytes()) {
      file_.fail("damaged: " + in_quotes(name) + ": expected a storage of " +
                 std::to_string(storage.nbytes()) + " bytes, found " + std::to_string(entry->size));
    }
    if (entry->size > 0) archive_.read(*entry, storage.data_ptr());
  }

 private:
  const FileReader& file_;
  const ZipReader& archive_;
  std::string folder_;
};

/// Storages one behind the other in the order of a list of keys, each with its number of values (int64)
/// before it.
class ChainedStorages : public Storages {
 public:
  ChainedStorages(const FileReader& file, const Pickle& pickle, const PickleValue& keys, uint64_t offset)
      : file_(file) {
    std::map<std::string, at::ScalarType> types;
    for (const PickleValue& value : pickle.values) {
      if (value.kind == PickleValue::Kind::kStorage) types[value.tensor->storage_key] = value.tensor->type;
    }
    if (keys.kind != PickleValue::Kind::kList) {
      file.fail(std::string("damaged: expected a list of storages, found ") + to_string(keys.kind));
    }
    for (const PickleValue* key : keys.items) {
      const auto type = types.find(key->text);
      if (type == types.end()) file.fail("damaged: nothing is known of the storage " + in_quotes(key->text));
      int64_t numel = 0;
      file.read(offset, &numel, sizeof numel);
      offset += sizeof numel;
      const uint64_t width = c10::elementSize(type->second);
      if (numel < 0 || static_cast<uint64_t>(numel) > (file.size() - offset) / width) {
        file.fail("damaged: the storage " + in_quotes(key->text) + " is cut short");
      }
      places_[key->text] = {offset, numel};
      offset += static_cast<uint64_t>(numel) * width;
    }
    if (offset != file.size()) file.fail("damaged: bytes behind the end");
  }

  void read(const std::string& name, const StoredTensor& view, at::Tensor& storage) const override {
    const auto place = places_.find(view.storage_key);
    if (place == places_.end() || place->second.numel != storage.numel()) {
      file_.fail("damaged: " + in_quotes(name) + ": expected a storage of " +
                 std::to_string(storage.numel()) + " values, found " +
                 (place == places_.end() ? "none" : std::to_string(place->second.numel)));
    }
    if (storage.numel() > 0) file_.read(place->second.offset, storage.data_ptr(), storage.nbytes());
  }

 private:
  struct Place {
    uint64_t offset = 0;
    int64_t numel = 0;
  };
  const FileReader& file_;
  std::map<std::string, Place> places_;
};

/// Loads storages on first use; tensors of one storage share it.
class StorageLoader {
 public:
  StorageLoader(const FileReader& file, const Storages& storages) : file_(file), storages_(storages) {}

  at::Tensor tensor(const std::string& name, const StoredTensor& view) {
    const at::Tensor storage = load(name, view);
    const at::Tensor tensor = at::as_strided(storage, view.sizes, view.strides, view.offset);
    if (tensor.numel() > storage.numel()) {
      // Such a view repeats values. A few bytes must not stand for terabytes in whoever copies it.
      if (static_cast<int64_t>(tensor.nbytes()) > kMostExpandedBytes - expanded_bytes_) {
        file_.fail(in_quotes(name) + ": refused: repeats a small storage up to " +
                   std::to_string(tensor.nbytes()) + " bytes");
      }
      expanded_bytes_ += static_cast<int64_t>(tensor.nbytes());
    }
    return tensor;
  }

 private:
  at::Tensor load(const std::string& name, const StoredTensor& view) {
    const auto known = loaded_.find(view.storage_key);
    if (known != loaded_.end()) {
      if (known->second.scalar_type() != view.type || known->second.numel() != view.storage_numel) {
        file_.fail("damaged: " + in_quotes(name) + ": its storage is described in two ways");
      }
      return known->second;
    }
    if (static_cast<uint64_t>(view.storage_numel) > file_.size() / c10::elementSize(view.type)) {
      file_.fail("damaged: " + in_quotes(name) + ": its storage " + in_quotes(view.storage_key) +
                 " is missing or larger than the file");
    }
    at::Tensor storage = allocate_tensor(file_, name, {view.storage_numel}, view.type);
    storages_.read(name, view, storage);
    check_bool(name, storage);
    return loaded_[view.storage_key] = storage;
  }

  void check_bool(const std::string& name, const at::Tensor& storage) const {
    if (storage.scalar_type() != at::kBool) return;
    const auto* values = static_cast<const unsigned char*>(storage.const_data_ptr());
    if (std::any_of(values, values + storage.numel(), [](unsigned char value) { return value > 1; })) {
      file_.fail("damaged: " + in_quotes(name) + ": expected 0 or 1 in a bool tensor, found another value");
    }
  }

  const FileReader& file_;
  const Storages& storages_;
  std::map<std::string, at::Tensor> loaded_;
  int64_t expanded_bytes_ = 0;
};

/// The dict that holds the weights. What else lies in a checkpoint is not looked at.
const PickleValue& choose_weights(const FileReader& file, const PickleValue& root) {
  if (root.kind != PickleValue::Kind::kDict) {
    file.fail(std::string("expected a dict of tensors, found ") + to_string(root.kind));
  }
  for (const char* key : {"state_dict", "model"}) {
    const PickleValue* inner = root.find(key);
    if (inner && inner->kind == PickleValue::Kind::kDict) return *inner;
  }
  return root;
}

TensorFile load_tensors(const FileReader& file, const Pickle& pickle, const Storages& storages) {
  const PickleValue& weights = choose_weights(file, *pickle.root);
  StorageLoader loader(file, storages);
  TensorFile contents;
  std::set<std::string> names;
  for (size_t i = 0; i < weights.items.size(); i += 2) {
    const PickleValue &key = *weights.items[i], &value = *weights.items[i + 1];
    if (key.kind != PickleValue::Kind::kText)
      file.fail(std::string("expected names of tensors, found ") + to_string(key.kind));
    if (value.kind != PickleValue::Kind::kTensor) {
      file.fail(in_quotes(key.text) + ": expected a tensor, 'state_dict' or 'model', found " +
                to_string(value.kind));
    }
    if (!names.insert(key.text).second)
      file.fail("damaged: the name " + in_quotes(key.text) + " is there twice");
    contents.tensors.push_back({key.text, loader.tensor(key.text, *value.tensor)});
  }
  if (contents.tensors.empty()) file.fail("expected a dict of tensors, found an empty one");
  return contents;
}

TensorFile read_archive(const FileReader& file) {
  const ZipReader archive(file);
  const std::string folder = find_folder(file, archive);
  check_byte_order(file, archive, folder);
  const ZipEntry& entry = *archive.find(folder + std::string(kPickleName));
  if (entry.size > kLongestPickle) file.fail("refused: data.pkl is longer than 64 MB");
  const std::string bytes = archive.read_text(entry);
  const Pickle pickle = read_pickle(bytes, file.path().string());
  return load_tensors(file, pickle, ArchivedStorages(file, archive, folder));
}

/// Five pickles (a magic number, a version, sizes of types, the object, the keys of its storages), then the
/// storages.
TensorFile read_chain(const FileReader& file) {
  const std::string bytes = file.read_text(0, std::min(file.size(), kLongestPickle));
  size_t position = 0;
  const auto next = [&] {
    size_t size = 0;
    Pickle pickle = read_pickle(std::string_view(bytes).substr(position), file.path().string(), &size);
    position += size;
    return pickle;
  };
  next();
  next();
  const Pickle machine = next();
  const PickleValue* is_little = machine.root->find("little_endian");
  if (is_little && is_little->integer == 0) file.fail("byte order: expected little, found big");
  const Pickle pickle = next();
  const Pickle keys = next();
  return load_tensors(file, pickle, ChainedStorages(file, pickle, *keys.root, position));
}

constexpr std::string_view kArchive = "PK\x03\x04";
constexpr std::string_view kChain = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

}  // namespace

bool is_torch_pickle(std::string_view start) {
  return start.starts_with(kArchive) || start.starts_with(kChain);
}

TensorFile read_torch_pickle(const FileReader& file) {
  const std::string start = file.read_text(0, std::min<uint64_t>(file.size(), kChain.size()));
  return start.starts_with(kChain) ? read_chain(file) : read_archive(file);
}

}  // namespace hqtrack
