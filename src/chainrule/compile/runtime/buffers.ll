; Memory of large results, kept for the next one when its array goes.
;
; The system hands out fresh memory page by page at the first touch, which takes longer than most
; loops over it. NumPy calls these functions for the arrays that were made with them, and holds the
; interpreter's lock when it does.

%buffer = type { ptr, i64 } ; where it is, and its size; no size: nothing is kept here

@kept = global [SLOTS x %buffer] zeroinitializer, align 64
@turn = internal global i64 0 ; which one goes next when there is no room
@total = global i64 0         ; bytes in all
@most = global i64 0          ; bytes that may be kept
@name = internal constant [127 x i8] c"chainruleZEROS"

%allocator = type { ptr, ptr, ptr, ptr, ptr }
%handler = type { [127 x i8], i8, %allocator }
@handler = global %handler {
  [127 x i8] c"chainruleZEROS", i8 1,
  %allocator { ptr null, ptr @new, ptr @new_zeros, ptr @resize, ptr @give } }

declare ptr @malloc(i64)
declare ptr @calloc(i64, i64)
declare ptr @realloc(ptr, i64)
declare void @free(ptr)
HUGE_DECLARED

define internal ptr @new(ptr %unused, i64 %size) nounwind {
entry:
  br label %look
look:
  %k = phi i64 [ 0, %entry ], [ %k1, %other ]
  %in = icmp slt i64 %k, SLOTS
  br i1 %in, label %slot, label %fresh
slot:
  %at = getelementptr %buffer, ptr @kept, i64 %k
  %place = getelementptr %buffer, ptr %at, i64 0, i32 1
  %has = load i64, ptr %place
  %fits = icmp eq i64 %has, %size
  br i1 %fits, label %take, label %other
other:
  %k1 = add i64 %k, 1
  br label %look
take:
  %found = load ptr, ptr %at
  store i64 0, ptr %place
  %sum = load i64, ptr @total
  %less = sub i64 %sum, %size
  store i64 %less, ptr @total
  ret ptr %found
fresh:
  %made = call ptr @malloc(i64 %size)
  call void @advise(ptr %made, i64 %size)
  ret ptr %made
}

define internal ptr @new_zeros(ptr %unused, i64 %count, i64 %size) nounwind {
  %made = call ptr @calloc(i64 %count, i64 %size)
  ret ptr %made
}

define internal ptr @resize(ptr %unused, ptr %old, i64 %size) nounwind {
  %made = call ptr @realloc(ptr %old, i64 %size)
  ret ptr %made
}

; Let one kept buffer go.
define internal void @drop(i64 %k) nounwind {
entry:
  %at = getelementptr %buffer, ptr @kept, i64 %k
  %place = getelementptr %buffer, ptr %at, i64 0, i32 1
  %size = load i64, ptr %place
  %some = icmp ne i64 %size, 0
  br i1 %some, label %go, label %end
go:
  %old = load ptr, ptr %at
  call void @free(ptr %old)
  store i64 0, ptr %place
  %sum = load i64, ptr @total
  %less = sub i64 %sum, %size
  store i64 %less, ptr @total
  br label %end
end:
  ret void
}

define void @clear() nounwind {
entry:
  br label %look
look:
  %k = phi i64 [ 0, %entry ], [ %k1, %look ]
  call void @drop(i64 %k)
  %k1 = add i64 %k, 1
  %more = icmp slt i64 %k1, SLOTS
  br i1 %more, label %look, label %end
end:
  ret void
}

define internal void @give(ptr %unused, ptr %old, i64 %size) nounwind {
entry:
  %most = load i64, ptr @most
  %large = icmp sgt i64 %size, %most
  %small = icmp slt i64 %size, LEAST
  %not = or i1 %large, %small
  br i1 %not, label %release, label %look
release:
  call void @free(ptr %old)
  ret void
look:                               ; the oldest go until there is room
  %n = phi i64 [ 0, %entry ], [ %n1, %drop ]
  %sum = load i64, ptr @total
  %then = add i64 %sum, %size
  %room = icmp sle i64 %then, %most
  %turn = load i64, ptr @turn
  %at = getelementptr %buffer, ptr @kept, i64 %turn
  %place = getelementptr %buffer, ptr %at, i64 0, i32 1
  %has = load i64, ptr %place
  %free = icmp eq i64 %has, 0
  %fits = and i1 %room, %free
  br i1 %fits, label %keep, label %drop
drop:
  call void @drop(i64 %turn)
  %n1 = add i64 %n, 1
  %more1 = icmp eq i64 %has, 0
  %moved = add i64 %turn, 1
  %next = urem i64 %moved, SLOTS
  %again = select i1 %more1, i64 %next, i64 %turn
  store i64 %again, ptr @turn
  br label %look
keep:
  store ptr %old, ptr %at
  store i64 %size, ptr %place
  store i64 %then, ptr @total
  %after = add i64 %turn, 1
  %following = urem i64 %after, SLOTS
  store i64 %following, ptr @turn
  ret void
}
HUGE_DEFINED
