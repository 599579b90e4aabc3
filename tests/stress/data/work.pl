use strict; use warnings;
my $n = $ARGV[0] eq 'full' ? 60 : 6;
my ($x, $sum, %h, @kept) = (1, 0);
sub r { $x = ($x * 1103515245 + 12345) % 2147483648; return $x >> 8 }
for my $round (1 .. $n) {
    my @lines = map { join ',', map { r() % 1000 } 1 .. 12 } 1 .. 3000;
    for my $l (@lines) {
        my @f = sort { $a <=> $b } split /,/, $l;
        $h{$f[0]}{$f[-1]} .= substr($l, 0, 9);
        $sum += length(join '', reverse @f);
    }
    my $text = join "\n", @lines;
    $sum += () = $text =~ /(\d)\1/g;
    $text =~ s/(\d+),(\d+)/$2;$1/g;
    push @kept, $text if $round % 3 == 0;
    delete $h{$_} for grep { $_ % 7 == $round % 7 } keys %h;
}
print "$sum ", scalar(keys %h), " ", unpack('%32C*', join '', @kept), "\n";
print "$_:", length($h{$_}{(sort keys %{$h{$_}})[0]}), "\n" for sort { $a <=> $b } keys %h;
