import org.rocksdb.*;
import java.nio.file.*;
import java.util.*;
public class Gen {
  static void put(RocksDB db, ColumnFamilyHandle h, WriteOptions w, int from, int to, int gen) throws Exception {
    for (int i = from; i < to; i++) db.put(h, w, String.format("key%05d", i).getBytes(), ("value-" + gen + "-" + i + "-aaaaaaaaaaaaaaaaaaaaaaaaaaaa").getBytes());
  }
  // args: dir formatVersion checksum indexType compression bloom(0/1) rangeDelete(0/1) entries
  public static void main(String[] a) throws Exception {
    RocksDB.loadLibrary();
    String dir = a[0];
    BlockBasedTableConfig t = new BlockBasedTableConfig();
    t.setFormatVersion(Integer.parseInt(a[1]));
    t.setChecksumType(ChecksumType.valueOf(a[2]));
    t.setIndexType(IndexType.valueOf(a[3]));
    if (a[5].equals("1")) t.setFilterPolicy(new BloomFilter(10, false));
    if (a[5].equals("2")) { t.setFilterPolicy(new BloomFilter(10, false)); t.setPartitionFilters(true); }
    if (a.length > 8) { t.setDataBlockIndexType(DataBlockIndexType.kDataBlockBinaryAndHash); t.setDataBlockHashTableUtilRatio(0.75); }
    ColumnFamilyOptions c = new ColumnFamilyOptions().setTableFormatConfig(t).setCompressionType(CompressionType.valueOf(a[4]))
      .setMergeOperatorName("stringappendtest").setLevelCompactionDynamicLevelBytes(false);
    if (a[3].equals("kHashSearch")) c.useFixedLengthPrefixExtractor(4);
    List<ColumnFamilyDescriptor> ds = new ArrayList<>();
    ds.add(new ColumnFamilyDescriptor(RocksDB.DEFAULT_COLUMN_FAMILY, c));
    List<ColumnFamilyHandle> hs = new ArrayList<>();
    DBOptions o = new DBOptions().setCreateIfMissing(true).setAvoidFlushDuringShutdown(true).setStatsDumpPeriodSec(0);
    RocksDB db = RocksDB.open(o, dir, ds, hs);
    WriteOptions w = new WriteOptions().setDisableWAL(true);
    ColumnFamilyHandle words = db.createColumnFamily(new ColumnFamilyDescriptor("word-count: é # \\ \"x\"".getBytes("UTF-8"), c));
    ColumnFamilyHandle timers = db.createColumnFamily(new ColumnFamilyDescriptor("_timer_state/event_user-timers".getBytes(), c));
    ColumnFamilyHandle gone = db.createColumnFamily(new ColumnFamilyDescriptor("gone".getBytes(), c));
    int n = Integer.parseInt(a[7]);
    FlushOptions f = new FlushOptions().setWaitForFlush(true);
    put(db, words, w, 0, n, 1);
    for (int i = 0; i < n / 4; i++) db.merge(words, w, String.format("list%05d", i % 10).getBytes(), ("e" + i).getBytes());
    db.flush(f, words);
    put(db, words, w, n / 2, n, 2);
    for (int i = 0; i < n / 8; i++) db.delete(words, w, String.format("key%05d", i).getBytes());
    if (a[6].equals("1")) db.deleteRange(words, w, "key00100".getBytes(), "key00200".getBytes());
    db.flush(f, words);
    put(db, timers, w, 0, n, 1);
    db.singleDelete(timers, w, "key00003".getBytes());
    db.flush(f, timers);
    db.compactRange(timers);
    put(db, timers, w, 0, 20, 1);
    db.flush(f, timers);
    put(db, gone, w, 0, 10, 1);
    db.flush(f, gone);
    db.dropColumnFamily(gone);
    Checkpoint cp = Checkpoint.create(db);
    cp.createCheckpoint(dir + "-chk");
    System.out.println("ok " + dir);
    Runtime.getRuntime().halt(0);
  }
}
