// A doubly linked list whose links live in its elements: linking and unlinking never allocate, never fail,
// and an element unlinks itself when it dies. Not thread-safe.
#pragma once

#include "base/check.h"

namespace nines {

class ListLink {
 public:
  ListLink() = default;
  ListLink(const ListLink&) = delete;
  ListLink& operator=(const ListLink&) = delete;
  ~ListLink() { unlink(); }

  bool linked() const { return next_ != this; }
  void unlink() {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = this;
  }

 private:
  template <class T>
  friend class IntrusiveList;
  ListLink* next_ = this;
  ListLink* previous_ = this;
};

// T derives from ListLink.
template <class T>
class IntrusiveList {
 public:
  bool empty() const { return !head_.linked(); }

  void push_back(T& element) {
    ListLink& link = element;
    INVARIANT(!link.linked());
    link.next_ = &head_;
    link.previous_ = head_.previous_;
    head_.previous_->next_ = &link;
    head_.previous_ = &link;
  }

  T& front() {
    INVARIANT(!empty());
    return static_cast<T&>(*head_.next_);
  }

  T& pop_front() {
    T& element = front();
    static_cast<ListLink&>(element).unlink();
    return element;
  }

  // Moves everything from `other` here. With it a loop takes "all there is now" and leaves what is added meanwhile.
  void take_all(IntrusiveList& other) {
    if (other.empty()) return;
    other.head_.next_->previous_ = head_.previous_;
    other.head_.previous_->next_ = &head_;
    head_.previous_->next_ = other.head_.next_;
    head_.previous_ = other.head_.previous_;
    other.head_.next_ = other.head_.previous_ = &other.head_;
  }

 private:
  ListLink head_;
};

}  // namespace nines
