; BLAS on one thread while compiled code calls it, and as its user wants it else.
;
; The first caller in notes how many threads there are to be, the last one out restores that, unless
; somebody has asked for another number meanwhile.

@get = global ptr null            ; the library's own functions, if they are known
@set = global ptr null
@mutex = global [128 x i8] zeroinitializer, align 64
@inside = global i64 0            ; how many callers there are
@before = global i32 1

declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_mutex_init(ptr, ptr)

define void @begin() nounwind {
entry:
  %get = load ptr, ptr @get
  %known = icmp ne ptr %get, null
  br i1 %known, label %count, label %end
count:
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  %others = load i64, ptr @inside
  %all = add i64 %others, 1
  store i64 %all, ptr @inside
  %first = icmp eq i64 %others, 0
  br i1 %first, label %look, label %done
look:
  %threads = call i32 %get()
  store i32 %threads, ptr @before
  %several = icmp sgt i32 %threads, 1
  br i1 %several, label %change, label %done
change:
  %set = load ptr, ptr @set
  call void %set(i32 1)
  br label %done
done:
  %b = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %end
end:
  ret void
}

define internal void @restore() nounwind {
entry:
  %before = load i32, ptr @before
  %several = icmp sgt i32 %before, 1
  br i1 %several, label %look, label %end
look:
  %get = load ptr, ptr @get
  %now = call i32 %get()
  %ours = icmp eq i32 %now, 1
  br i1 %ours, label %change, label %end
change:
  %set = load ptr, ptr @set
  call void %set(i32 %before)
  br label %end
end:
  ret void
}

define void @end() nounwind {
entry:
  %get = load ptr, ptr @get
  %known = icmp ne ptr %get, null
  br i1 %known, label %count, label %end
count:
  %a = call i32 @pthread_mutex_lock(ptr @mutex)
  %all = load i64, ptr @inside
  %others = sub i64 %all, 1
  store i64 %others, ptr @inside
  %last = icmp eq i64 %others, 0
  br i1 %last, label %leave, label %done
leave:
  call void @restore()
  br label %done
done:
  %b = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %end
end:
  ret void
}

; Make everything as it was in the beginning: callers on other threads don't survive a fork.
define void @reset() nounwind {
entry:
  %a = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %callers = load i64, ptr @inside
  store i64 0, ptr @inside
  %some = icmp sgt i64 %callers, 0
  br i1 %some, label %leave, label %end
leave:
  call void @restore()
  br label %end
end:
  ret void
}
