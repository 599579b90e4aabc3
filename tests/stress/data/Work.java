import java.util.*;
import java.util.zip.*;

public class Work {
    public static void main(String[] args) throws Exception {
        int n = args[0].equals("full") ? 60 : 6;
        Random random = new Random(5);
        CRC32 crc = new CRC32();
        for (int round = 0; round < n; round++) {
            Map<Integer, byte[]> map = new TreeMap<>();
            for (int i = 0; i < 20000; i++)
                map.put(random.nextInt(30000), new byte[random.nextInt(500)]);
            Deflater d = new Deflater(3);
            byte[] out = new byte[4096];
            for (byte[] b : map.values()) {
                d.setInput(b);
                int k = d.deflate(out, 0, out.length, Deflater.SYNC_FLUSH);
                crc.update(out, 0, k);
            }
            d.end();
            Thread[] threads = new Thread[4];
            long[] sums = new long[4];
            for (int t = 0; t < 4; t++) {
                final int id = t;
                threads[t] = new Thread(() -> {
                    List<String> list = new ArrayList<>();
                    for (int i = 0; i < 20000; i++) list.add(Integer.toString(i * id));
                    Collections.sort(list);
                    sums[id] = list.get(777).hashCode();
                });
                threads[t].start();
            }
            for (Thread t : threads) t.join();
            for (long s : sums) crc.update(Long.toString(s).getBytes());
        }
        System.out.println(Long.toHexString(crc.getValue()));
    }
}
