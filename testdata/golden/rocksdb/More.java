import org.rocksdb.*;
import java.nio.file.*;
import java.util.*;
public class More {
  public static void main(String[] a) throws Exception {
    RocksDB.loadLibrary();
    if (a[0].equals("manifest")) { // many small tables: a MANIFEST of more than one log block
      DBOptions o = new DBOptions().setCreateIfMissing(true).setWriteDbidToManifest(true).setAtomicFlush(true);
      ColumnFamilyOptions c = new ColumnFamilyOptions().setDisableAutoCompactions(true).setCompressionType(CompressionType.NO_COMPRESSION).setLevel0StopWritesTrigger(100000).setLevel0SlowdownWritesTrigger(100000);
      List<ColumnFamilyHandle> hs = new ArrayList<>();
      RocksDB db = RocksDB.open(o, a[1], List.of(new ColumnFamilyDescriptor(RocksDB.DEFAULT_COLUMN_FAMILY, c)), hs);
      ColumnFamilyHandle other = db.createColumnFamily(new ColumnFamilyDescriptor("other".getBytes(), c));
      byte[] pad = "p".repeat(120).getBytes();
      WriteOptions w = new WriteOptions().setDisableWAL(true);
      for (int i = 0; i < 50; i++) {
        db.put(hs.get(0), w, (String.format("%05d", i) + new String(pad)).getBytes(), pad);
        db.put(other, w, (String.format("%05d", i) + new String(pad)).getBytes(), pad);
        db.flush(new FlushOptions(), List.of(hs.get(0), other));
      }
      db.deleteFilesInRanges(other, List.of("00010".getBytes(), "00020".getBytes()), true);
      Checkpoint.create(db).createCheckpoint(a[1] + "-chk");
    } else if (a[0].equals("ingest")) {
      Options o = new Options().setCreateIfMissing(true).setCompressionType(CompressionType.NO_COMPRESSION);
      RocksDB db = RocksDB.open(o, a[1]);
      for (int i = 0; i < 10; i++) db.put(("key" + i).getBytes(), "old".getBytes());
      String f = a[1] + "/ext.sst";
      SstFileWriter s = new SstFileWriter(new EnvOptions(), o);
      s.open(f);
      for (int i = 0; i < 10; i++) s.put(("key" + i).getBytes(), "new".getBytes());
      s.finish();
      db.ingestExternalFile(List.of(f), new IngestExternalFileOptions().setMoveFiles(false).setWriteGlobalSeqno(true).setAllowGlobalSeqNo(true));
      Checkpoint.create(db).createCheckpoint(a[1] + "-chk");
    } else { // what RocksDB itself says about the tables of a database
      List<ColumnFamilyDescriptor> ds = new ArrayList<>();
      List<ColumnFamilyHandle> hs = new ArrayList<>();
      for (byte[] n : RocksDB.listColumnFamilies(new Options(), a[1])) ds.add(new ColumnFamilyDescriptor(n));
      RocksDB db = RocksDB.openReadOnly(new DBOptions(), a[1], ds, hs);
      for (ColumnFamilyHandle h : hs) for (Map.Entry<String, TableProperties> e : db.getPropertiesOfAllTables(h).entrySet()) {
        TableProperties p = e.getValue();
        System.out.println("P " + e.getKey() + " " + p.getNumDataBlocks() + " " + p.getNumEntries() + " " + p.getNumDeletions() + " " + p.getNumMergeOperands() + " " + p.getNumRangeDeletions() + " " + p.getRawKeySize() + " " + p.getRawValueSize() + " " + p.getDataSize() + " " + p.getIndexSize() + " " + p.getFilterSize() + " " + p.getIndexPartitions() + " " + p.getTopLevelIndexSize() + " " + p.getFormatVersion() + " " + p.getColumnFamilyId() + " " + p.getCreationTime() + " " + p.getOldestKeyTime() + " | " + new String(p.getColumnFamilyName()) + " | " + p.getFilterPolicyName() + " | " + p.getComparatorName() + " | " + p.getMergeOperatorName() + " | " + p.getCompressionName());
      }
    }
    System.out.println("ok");
    Runtime.getRuntime().halt(0);
  }
}
