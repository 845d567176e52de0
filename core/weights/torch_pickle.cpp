#include "core/weights/torch_pickle.h"

#include <ATen/ops/as_strided.h>
#include <ATen/ops/empty.h>

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

/// Loads storages on first use; tensors of one storage share it.
class StorageLoader {
 public:
  StorageLoader(const FileReader& file, const ZipReader& archive, std::string folder)
      : file_(file), archive_(archive), folder_(std::move(folder)) {}

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
    const auto known = storages_.find(view.storage_key);
    if (known != storages_.end()) {
      if (known->second.scalar_type() != view.type || known->second.numel() != view.storage_numel) {
        file_.fail("damaged: " + in_quotes(name) + ": its storage is described in two ways");
      }
      return known->second;
    }
    const ZipEntry* entry = archive_.find(folder_ + "data/" + view.storage_key);
    if (!entry)
      file_.fail("damaged: " + in_quotes(name) + ": its storage " + in_quotes(view.storage_key) +
                 " is missing");
    archive_.check_stored(*entry);
    const uint64_t bytes = static_cast<uint64_t>(view.storage_numel) * c10::elementSize(view.type);
    if (entry->size != bytes) {
      file_.fail("damaged: " + in_quotes(name) + ": expected a storage of " + std::to_string(bytes) +
                 " bytes, found " + std::to_string(entry->size));
    }
    at::Tensor storage = at::empty({view.storage_numel}, view.type);
    if (bytes > 0) archive_.read(*entry, storage.data_ptr());
    check_bool(name, storage);
    return storages_[view.storage_key] = storage;
  }

  void check_bool(const std::string& name, const at::Tensor& storage) const {
    if (storage.scalar_type() != at::kBool) return;
    const auto* values = static_cast<const unsigned char*>(storage.const_data_ptr());
    if (std::any_of(values, values + storage.numel(), [](unsigned char value) { return value > 1; })) {
      file_.fail("damaged: " + in_quotes(name) + ": expected 0 or 1 in a bool tensor, found another value");
    }
  }

  const FileReader& file_;
  const ZipReader& archive_;
  std::string folder_;
  std::map<std::string, at::Tensor> storages_;
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

}  // namespace

TensorFile read_torch_pickle(const FileReader& file) {
  const ZipReader archive(file);
  const std::string folder = find_folder(file, archive);
  check_byte_order(file, archive, folder);
  const ZipEntry& entry = *archive.find(folder + std::string(kPickleName));
  if (entry.size > kLongestPickle) file.fail("refused: data.pkl is longer than 64 MB");
  const std::string bytes = archive.read_text(entry);
  const Pickle pickle = read_pickle(bytes, file.path().string());
  const PickleValue& weights = choose_weights(file, *pickle.root);

  StorageLoader storages(file, archive, folder);
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
    contents.tensors.push_back({key.text, storages.tensor(key.text, *value.tensor)});
  }
  if (contents.tensors.empty()) file.fail("expected a dict of tensors, found an empty one");
  return contents;
}

}  // namespace hqtrack
