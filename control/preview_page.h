#pragma once

namespace hqtrack {

/// The page at "/": the text of preview.html.
extern const char* const kPreviewPage;

}  // namespace hqtrack
