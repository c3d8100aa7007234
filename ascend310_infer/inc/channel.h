// A queue between two threads. It holds a limited number of things, so a fast thread waits for a slow one.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace dlinknet {

template <typename Thing>
class Channel {
 public:
  explicit Channel(size_t most) : most_(most) {}

  // Wait for room, and append a thing. Do not call this after close().
  void push(Thing thing) {
    std::unique_lock<std::mutex> lock(mutex_);
    room_.wait(lock, [this] { return things_.size() < most_; });
    things_.push_back(std::move(thing));
    filled_.notify_one();
  }

  // Wait for a thing, and return it. Return nothing if the channel is closed and empty.
  std::optional<Thing> pop() {
    std::unique_lock<std::mutex> lock(mutex_);
    filled_.wait(lock, [this] { return !things_.empty() || closed_; });
    if (things_.empty()) {
      return std::nullopt;
    }
    std::optional<Thing> thing(std::move(things_.front()));
    things_.pop_front();
    room_.notify_one();
    return thing;
  }

  // Return whether pop() would return a thing without waiting.
  bool has_thing() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return !things_.empty();
  }

  // Declare that no push() follows. pop() still returns the things that are left.
  void close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    filled_.notify_all();
  }

 private:
  const size_t most_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<Thing> things_;
  bool closed_ = false;
};

}  // namespace dlinknet
